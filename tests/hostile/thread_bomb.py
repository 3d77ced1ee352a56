# starts threads without end
import threading, time
from attempt import attempt
def start():
    for i in range(5000):
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
attempt("5000 threads", start)
import os
os._exit(0)
