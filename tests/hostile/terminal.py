# writes escape sequences and types into a terminal
import fcntl, os
from attempt import attempt
print("\033[2J\033[1;1H\033]0;owned\007\033[31m\u202eevil\u2069\x9b5n")
attempt("typing (TIOCSTI)", lambda: fcntl.ioctl(0, 0x5412, b"x"))
attempt("/dev/tty", lambda: open("/dev/tty", "w").write("x"))
attempt("/dev/pts", lambda: open("/dev/pts/0", "w").write("x"))
