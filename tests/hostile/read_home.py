# reads the home folder
import os
from attempt import attempt, goal
attempt("a file in it", lambda: open(goal["file"]).read())
attempt("/root", lambda: os.listdir("/root"))
attempt("/home", lambda: os.listdir("/home"))
attempt("the folder of the person", lambda: os.listdir(os.path.expanduser("~root")))
