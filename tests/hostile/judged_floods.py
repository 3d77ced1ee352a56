# returns a gigabyte
def double(x):
    return "x" * (1 << 30)
