# shared memory that no process shows as its own: mmap, memfd, System V, /dev/shm, message queues
import mmap, os
from attempt import attempt, call
attempt("mmap", lambda: mmap.mmap(-1, 1 << 20))
attempt("memfd", lambda: os.memfd_create("x"))
attempt("shmget", lambda: call("shmget", 0, 1 << 20, 0o1600))
attempt("/dev/shm", lambda: open("/dev/shm/x", "w"))
attempt("msgget", lambda: call("msgget", 0, 0o1600))
