# Runs the tests. What they test lives in another process: a call goes there as plain data, and its value comes back as
# plain data, so that nothing the tested program does can reach the tests. The last line on standard error is the
# verdict, behind a word that only this process was told.
import builtins
import os
import sys
import traceback

sys.path.insert(0, "/judge")
from exchange import pack, receive, send, unpack  # noqa: E402


class Gone(BaseException):
    "The tested program ended."


class Failed(Exception):
    "The tested program raised what is no built-in exception, or returned what is no plain data."


calls, answers = os.fdopen(os.dup(1), "w"), os.fdopen(os.dup(0), "r")
word, entry_point = sys.argv[1], sys.argv[2]


def say(verdict, text=""):
    sys.stderr.write("\n%s %s %s\n" % (word, verdict, " ".join(text.split())[:400]))
    sys.stderr.flush()
    os._exit(0)


def ask():
    try:
        answer = receive(answers)
    except (OSError, ValueError, RecursionError):
        answer = "nonsense"
    if answer is None:
        raise Gone()
    if not isinstance(answer, dict):
        say("crash", "what it sent back cannot be read")
    return answer


def raised(answer):
    kind = getattr(builtins, str(answer["error"]), None)
    text = str(answer.get("says", ""))
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(text)
        except TypeError:
            pass
    return Failed("%s: %s" % (answer["error"], text))


def tested(*arguments, **named):
    try:
        send(calls, {"name": entry_point, "arguments": pack(list(arguments)), "named": pack(named)})
    except OSError:
        raise Gone() from None
    answer = ask()
    if "error" in answer:
        raise raised(answer)
    try:
        return unpack(answer["value"])
    except (KeyError, TypeError, ValueError, RecursionError):
        raise Failed("it returned what is no plain data") from None


def where(error):
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "tests.py"]
    return "line %d of the tests" % lines[-1].lineno if lines else "the tests"


def main():
    nothing = os.open("/dev/null", os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    names = {"__name__": "tests", "__builtins__": builtins}
    try:
        first = ask()
        if "error" in first:
            say("crash", "%s: %s" % (first["error"], first.get("says", "")))
        with open("/judge/prompt.py") as file:
            exec(compile(file.read(), "prompt.py", "exec"), names)
        names[entry_point] = names["candidate"] = tested
        with open("/judge/tests.py") as file:
            exec(compile(file.read(), "tests.py", "exec"), names)
        if callable(names.get("check")):
            names["check"](tested)
    except Gone:
        say("gone")
    except AssertionError as error:
        say("wrong", "%s %s" % (where(error), error))
    except BaseException as error:
        say("crash", "%s: %s, at %s" % (type(error).__name__, error, where(error)))
    say("passed")


main()
