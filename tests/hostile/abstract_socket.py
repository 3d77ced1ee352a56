# connects to an abstract unix socket of another process
import socket
from attempt import attempt, goal
def connect():
    one = socket.socket(socket.AF_UNIX)
    one.connect("\0" + goal["socket"])
attempt("abstract socket", connect)
