# becomes another user, by system calls and by programs with the setuid bit
import os, subprocess
from attempt import attempt, call
attempt("setuid", lambda: os.setuid(0))
attempt("setgid", lambda: os.setgid(0))
attempt("setgroups", lambda: os.setgroups([0]))
attempt("capset", lambda: call("prctl", 24, 21, 0, 0, 0) or call("prctl", 47, 2, 21, 0, 0))
for program in ("su", "mount", "newgrp", "passwd"):
    subprocess.run([program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print("uid %d %d" % (os.getuid(), os.geteuid()) if os.getresuid()[0] else "ESCAPED: uid 0")
