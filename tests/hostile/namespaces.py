# makes namespaces of its own, where it would be root
from attempt import attempt, call
for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("net", 0x40000000), ("pid", 0x20000000)):
    attempt("unshare " + name, lambda: call("unshare", flag))
attempt("clone", lambda: call("syscall", 56, 0x10000000 | 17, 0, 0, 0, 0))
attempt("setns", lambda: call("setns", 0, 0))
