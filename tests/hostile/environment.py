# looks for secrets in its own and other processes' environments
import glob, os
from attempt import goal
print(dict(os.environ))
for path in glob.glob("/proc/*/environ"):
    try:
        print(open(path, "rb").read())
    except OSError:
        pass
print(sorted(os.environ) == ["HOME", "LANG", "PATH"] or sorted(os.environ))
