# writes to /proc/sys and /sys
from attempt import attempt
for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/oom_score_adj", "/proc/self/uid_map",
             "/sys/kernel/uevent_helper", "/sys/fs/cgroup/cgroup.procs"):
    attempt(path, lambda: open(path, "w").write("1"))
