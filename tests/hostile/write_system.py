# writes where later programs would find it
from attempt import attempt
for path in ("/x", "/usr/bin/x", "/usr/bin/python3", "/bin/sh", "/etc/ld.so.preload", "/dev/x", "/judge/program.py",
             "/judge/attempt.py", "/usr/lib/python3/dist-packages/x.pth"):
    attempt(path, lambda: open(path, "w").write("x"))
