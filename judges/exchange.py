# Values that two programs exchange as lines of JSON: plain data alone, whatever the other side sends.
import json
import sys

# whole numbers have as many digits as they have: what takes too long, the clock ends
if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)


def pack(value, depth=0):
    if depth > 100:
        raise ValueError("a value is nested too deeply")
    if value is None or isinstance(value, bool):
        return value
    for kind, tag in ((int, "i"), (float, "f"), (str, "s"), (complex, "c")):
        if isinstance(value, kind):
            return [tag, str.__str__(value) if tag == "s" else kind.__repr__(value)]
    if isinstance(value, (bytes, bytearray)):
        return ["b", value.hex()]
    for kind, tag in ((list, "l"), (tuple, "t"), (set, "e"), (frozenset, "z")):
        if isinstance(value, kind):
            return [tag, [pack(item, depth + 1) for item in value]]
    if isinstance(value, dict):
        return ["d", [[pack(key, depth + 1), pack(item, depth + 1)] for key, item in value.items()]]
    raise TypeError("a value of type %s cannot be compared here" % type(value).__name__)


def unpack(packed):
    if packed is None or isinstance(packed, bool):
        return packed
    tag, value = packed
    plain = {"i": int, "f": float, "s": str, "c": complex, "b": bytes.fromhex}
    if tag in plain:
        return plain[tag](value)
    if tag == "d":
        return {unpack(key): unpack(item) for key, item in value}
    return {"l": list, "t": tuple, "e": set, "z": frozenset}[tag](unpack(item) for item in value)


def send(file, message):
    file.write(json.dumps(message) + "\n")
    file.flush()


def receive(file):
    line = file.readline(1 << 24)
    return json.loads(line) if line.endswith("\n") else None
