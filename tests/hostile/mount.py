# mounts file systems, old way and new
from attempt import attempt, call
for kind in (b"tmpfs", b"proc", b"sysfs", b"overlay"):
    attempt(kind.decode(), lambda: call("mount", b"none", b"/tmp", kind, 0, None))
attempt("bind", lambda: call("mount", b"/", b"/tmp", None, 4096, None))
attempt("writable", lambda: call("mount", None, b"/", None, 32 | 4096, None))
attempt("umount", lambda: call("umount2", b"/usr", 2))
attempt("fsopen", lambda: call("syscall", 430, b"tmpfs", 0))
