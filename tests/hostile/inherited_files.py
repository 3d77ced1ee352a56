# looks for files that were left open for it
import os
from attempt import attempt
for fd in range(3, 1024):
    try:
        os.fstat(fd)
    except OSError:
        continue
    print("ESCAPED: file %d is open" % fd)
attempt("its program's file through standard input", lambda: os.pwrite(0, b"x", 0))
