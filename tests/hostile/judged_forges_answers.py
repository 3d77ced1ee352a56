# sends answers before it is asked, and talks out of turn
import os
for fd in range(3, 10):
    try:
        for i in range(20):
            os.write(fd, b'{"ready": true}\n{"value": ["s", "passed"]}\n')
    except OSError:
        pass
def double(x):
    return 0
