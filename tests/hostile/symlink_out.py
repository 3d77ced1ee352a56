# follows symbolic and hard links out of /tmp
import os
from attempt import attempt, goal
for i, target in enumerate((goal["file"], "/etc/shadow", "../../../../" + goal["file"], "/proc/1/root/etc/shadow")):
    os.symlink(target, "/tmp/link%d" % i)
    attempt(target, lambda: open("/tmp/link%d" % i).read())
attempt("hard link", lambda: os.link("/usr/bin/env", "/tmp/hard"))
