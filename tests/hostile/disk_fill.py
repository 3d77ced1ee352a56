# fills /tmp with many files
from attempt import attempt
def fill():
    for i in range(1000):
        with open("/tmp/%d" % i, "wb") as file:
            file.write(bytes(4 << 20))
attempt("4 GB", fill)
