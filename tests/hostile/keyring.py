# reads and writes the kernel's keyrings
from attempt import attempt, call
attempt("add_key", lambda: call("syscall", 248, b"user", b"x", b"y", 1, -3))
attempt("keyctl", lambda: call("syscall", 250, 0, -3, 1))
attempt("request_key", lambda: call("syscall", 249, b"user", b"x", None, -3))
