# many processes take together what none may take alone
import os, time
for i in range(12):
    if os.fork() == 0:
        held = bytearray(60 << 20)
        for k in range(0, len(held), 4096):
            held[k] = 1
        time.sleep(3600)
time.sleep(3600)
