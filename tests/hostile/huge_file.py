# sparse and preallocated files of a terabyte
import os
from attempt import attempt
fd = os.open("/tmp/x", os.O_RDWR | os.O_CREAT)
attempt("truncate", lambda: os.ftruncate(fd, 1 << 40))
attempt("fallocate", lambda: os.posix_fallocate(fd, 0, 1 << 40))
attempt("write far out", lambda: os.pwrite(fd, b"x", 1 << 40))
