# one process takes all memory
from attempt import attempt
def grow():
    held = []
    for i in range(64 * 1024):
        held.append(bytearray(1 << 20))
attempt("64 GiB", grow)
