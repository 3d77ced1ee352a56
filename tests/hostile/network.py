# connects, sends, listens and asks for names
import socket
from attempt import attempt, goal
attempt("a listener of this machine", lambda: socket.create_connection(("127.0.0.1", goal["port"]), 1))
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("10.0.0.1", 53)))
attempt("tcp6", lambda: socket.socket(socket.AF_INET6).connect(("::1", goal["port"])))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
attempt("the machine below (vsock)", lambda: socket.socket(40, socket.SOCK_STREAM).connect((2, 22)))
attempt("names", lambda: socket.getaddrinfo("localhost", 80))
attempt("listening", lambda: socket.socket().bind(("0.0.0.0", 8000)))
