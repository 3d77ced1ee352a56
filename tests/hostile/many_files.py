# creates empty files without end
i = 0
while True:
    open("/tmp/%d" % i, "w").close()
    i += 1
