# bpf, io_uring, perf, userfaultfd, modules, the clock, the host's name
import time
from attempt import attempt, call
attempt("bpf", lambda: call("syscall", 321, 0, None, 0))
attempt("io_uring", lambda: call("syscall", 425, 8, None))
attempt("perf", lambda: call("syscall", 298, None, 0, -1, -1, 0))
attempt("userfaultfd", lambda: call("syscall", 323, 0))
attempt("init_module", lambda: call("syscall", 175, None, 0, b""))
attempt("the clock", lambda: time.clock_settime(time.CLOCK_REALTIME, 0))
attempt("the host's name", lambda: call("sethostname", b"owned", 5))
attempt("32-bit calls", lambda: call("personality", 8))
