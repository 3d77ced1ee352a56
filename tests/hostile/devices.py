# makes device nodes, and opens what /dev has
import os, stat
from attempt import attempt
attempt("mknod", lambda: os.mknod("/tmp/disk", 0o600 | stat.S_IFBLK, os.makedev(8, 0)))
attempt("mkfifo in /dev", lambda: os.mkfifo("/dev/x"))
for path in ("/dev/mem", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/tty"):
    attempt(path, lambda: open(path, "rb"))
