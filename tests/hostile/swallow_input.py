# reads its input without end
import sys
while True:
    if not sys.stdin.read(1 << 20):
        sys.stdin.seek(0)
