# sleeps
import time
time.sleep(1 << 20)
