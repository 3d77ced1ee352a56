# reads passwords, configuration, logs and kernel memory
import os
from attempt import attempt
for path in ("/etc/shadow", "/etc/passwd", "/var/log/dpkg.log", "/proc/kcore", "/proc/1/mem", "/sys/kernel", "/run",
             "/boot", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda"):
    attempt(path, lambda: open(path, "rb").read(1) if not os.path.isdir(path) else os.listdir(path))
