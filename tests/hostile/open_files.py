# opens files without end
import os
from attempt import attempt
attempt("100000 files", lambda: [os.open("/dev/null", os.O_RDONLY) for i in range(100000)])
