# What hostile programs share: an attempt that succeeds says ESCAPED. The line on standard input says what there is to reach.
import ctypes
import json
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
try:
    goal = json.loads(sys.stdin.readline())
except ValueError:
    goal = {}


def attempt(what, action):
    try:
        result = action()
    except BaseException as error:
        print("refused: %s: %s" % (what, type(error).__name__))
        return
    print("ESCAPED: %s: %r" % (what, result))


def call(name, *arguments):
    "A function of the C library; raises where it fails. Numbers of system calls are those of x86-64."
    if name == "syscall" and os.uname().machine != "x86_64":
        raise OSError("another machine's number")
    result = getattr(libc, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result
