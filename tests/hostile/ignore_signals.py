# ignores every signal and stays
import signal, time
for one in range(1, 65):
    try:
        signal.signal(one, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    time.sleep(3600)
