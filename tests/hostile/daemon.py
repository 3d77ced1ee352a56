# leaves a daemon behind: twice forked, in a session of its own, deaf to signals
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(one, signal.SIG_IGN)
        time.sleep(3600)
    os._exit(0)
print("the parent is done")
