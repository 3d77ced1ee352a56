# traces and reads other processes
import ctypes, os
from attempt import attempt, call, goal
for pid in (1, os.getppid(), goal["pid"]):
    attempt("ptrace", lambda: call("ptrace", 16, pid, 0, 0))
attempt("process_vm_readv", lambda: call("process_vm_readv", os.getpid(), 0, 0, 0, 0, 0))
attempt("pidfd_getfd", lambda: call("syscall", 438, 3, 0, 0))
