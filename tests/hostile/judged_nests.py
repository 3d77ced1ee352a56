# returns lists within lists without end
def double(x):
    value = []
    for i in range(100000):
        value = [value]
    return value
