# leaves dead children that nobody buries
import os
from attempt import attempt
def litter():
    for i in range(10000):
        if os.fork() == 0:
            os._exit(0)
attempt("10000 zombies", litter)
