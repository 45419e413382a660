"""The process that runs a user's `predict(inputs) -> outputs`, and the messages that it and the server exchange.

It runs under the interpreter of the user's environment, which does not have plimsoll: this file needs Python's standard
library and numpy only, and is started by its path. Arrays travel as raw bytes over a socket, so that what the user's
code prints can never be taken for an answer.

    python function_process.py SOCKET SCRIPT [ARGUMENTS…]
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

try:
    import numpy as np
except ImportError:  # it is said to the server, which says what to do
    np = None  # type: ignore[assignment]

Array = Any
"""A numpy array: its element type is not known before it is there."""
Header = dict[str, Any]
"""A JSON object: what a message is, and the names, types and sizes of its tensors."""
START = struct.Struct("<IQ")
"""The bytes of the header, and of the tensors after it."""
LENGTH = struct.Struct("<I")
ALIGNED = 8
"""Each tensor begins at a multiple of so many bytes: numpy is slow with numbers that lie across."""
DATATYPES = {
    "BOOL": "?", "INT8": "i1", "INT16": "i2", "INT32": "i4", "INT64": "i8", "UINT8": "u1", "UINT16": "u2",
    "UINT32": "u4", "UINT64": "u8", "FP16": "f2", "FP32": "f4", "FP64": "f8",
}  # fmt: skip
DIRECTORY = ""
"""Where the script is, once it is known."""
_BY_TYPE = {("b" if code == "?" else code[0], int(code[1:] or 1)): name for name, code in DATATYPES.items()}
MODEL = "PLIMSOLL_MODEL"
"""The variable with the directory that `load` is given."""
LARGEST = 1 << 29
"""Bytes of the tensors of one message: the server holds them in its own memory."""
REASON = 1000
"""Characters of a failure that are passed on."""


class Unusable(Exception):
    """What `predict` returned is no dict of arrays; the message says what to return."""


def packed(header: Header, tensors: Mapping[str, Array]) -> bytes:
    """A message with its tensors. Raises Unusable for an array that the protocol has no type for."""
    about: list[tuple[str, str, tuple[int, ...], int]] = []
    pieces: list[bytes] = []
    _require_room(sum(array.nbytes for array in tensors.values()))
    for name, array in tensors.items():
        datatype, raw = _raw(name, array)
        about.append((name, datatype, array.shape, len(raw)))
        pieces += (raw, b"\0" * (-len(raw) % ALIGNED))
    written = json.dumps({**header, "tensors": about}).encode()
    written += b" " * (-(START.size + len(written)) % ALIGNED)
    _require_room(sum(map(len, pieces)))
    body = b"".join(pieces)
    return START.pack(len(written), len(body)) + written + body


def _require_room(size: int) -> None:
    if size > LARGEST:
        raise Unusable(f"its outputs have {size >> 20} MiB, at most {LARGEST >> 20} are served")


def unpacked(header: Header, body: memoryview) -> dict[str, Array]:
    """The tensors of a message."""
    found, position = {}, 0
    for name, datatype, shape, size in header["tensors"]:
        found[name] = _array(body[position : position + size], datatype).reshape(shape)
        position += size + -size % ALIGNED
    return found


def _raw(name: str, array: Array) -> tuple[str, bytes]:
    if array.dtype.kind == "O":
        encoded = [_text(name, value) for value in array.ravel().tolist()]
        return "BYTES", b"".join([LENGTH.pack(len(value)) + value for value in encoded])
    datatype = _BY_TYPE.get((array.dtype.kind, array.dtype.itemsize))
    if datatype is None:
        raise Unusable(f"'{name}' is an array of {array.dtype}: make it numbers, booleans or text")
    return datatype, np.ascontiguousarray(array, dtype="<" + DATATYPES[datatype]).tobytes()


def _text(name: str, value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode(errors="replace")
    raise Unusable(f"'{name}' has a value of the type {type(value).__name__}: make it an array of numbers or of text")


def _array(raw: memoryview, datatype: str) -> Array:
    if datatype != "BYTES":
        return np.frombuffer(raw, dtype="<" + DATATYPES[datatype])
    values, position = [], 0
    while position < len(raw):
        (length,) = LENGTH.unpack_from(raw, position)
        position += LENGTH.size
        values.append(str(raw[position : position + length], "utf-8", "replace"))
        position += length
    array = np.empty(len(values), dtype=np.object_)
    array[:] = values
    return array


def arrays_of(outputs: object) -> dict[str, Array]:
    """What `predict` returned, as arrays by name. Raises Unusable."""
    if not isinstance(outputs, Mapping) or not outputs:
        what = "an empty dict" if isinstance(outputs, Mapping) else f"a {type(outputs).__name__}"
        raise Unusable(f"it returned {what}, not a dict of arrays: return {{'y': y}}")
    return {_name(name): _as_array(name, value) for name, value in outputs.items()}


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise Unusable(f"it returned a dict with the key {name!r}: the names of outputs are texts")
    return name


def _as_array(name: str, value: object) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise Unusable(f"'{name}' is no array: {error}") from None
    return array.astype(np.object_) if array.dtype.kind in "US" else array


def main() -> None:
    """Load the script, say so, and answer until the server closes the socket."""
    channel, script = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    _end_with_parent()
    sys.argv = sys.argv[2:]
    global DIRECTORY  # noqa: PLW0603 - it is one process with one script
    sys.path[0] = DIRECTORY = os.path.dirname(os.path.abspath(script))  # noqa: PTH100, PTH120 - pathlib need not be loaded for it
    try:
        predict = loaded(script)
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything; all of it keeps it from serving
        traceback.print_exc()
        reason = str(error) if isinstance(error, Unusable) else told(error)
        channel.sendall(packed({"failed": reason[:REASON]}, {}))
        return
    channel.sendall(packed({"ready": True}, {}))
    with channel, channel.makefile("rb", buffering=1 << 20) as stream:
        while start := stream.read(START.size):
            written, size = START.unpack(start)
            header = json.loads(stream.read(written))
            body = memoryview(bytearray(stream.read(size)))
            channel.sendall(answered(predict, header, body))


def loaded(script: str) -> Callable[[dict[str, Array]], object]:
    """The script's `predict`, after its `load` where it has one."""
    if np is None:
        raise Unusable(f"numpy is not installed for {sys.executable}: add it to the requirements of the environment")
    name = os.path.splitext(os.path.basename(script))[0]  # noqa: PTH119, PTH122 - as above
    spec = importlib.util.spec_from_file_location(name, script)
    assert spec is not None  # noqa: S101 - for checkers: the name ends with .py
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    # Classes that the script defines are found here by what was pickled of them.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    predict: Callable[[dict[str, Array]], object] = module.predict
    if (load := getattr(module, "load", None)) is not None:
        load(os.environ.get(MODEL) or os.getcwd())  # noqa: PTH109 - as above
    return predict


def answered(predict: Callable[[dict[str, Array]], object], header: Header, body: memoryview) -> bytes:
    """The answer to one call: outputs, or the reason why there are none."""
    try:
        return packed({}, arrays_of(predict(unpacked(header, body))))
    except Unusable as error:
        return packed({"error": str(error)[:REASON], "whose": "code"}, {})
    except ValueError as error:
        # What callers send must not fill the log.
        return packed({"error": told(error)[:REASON], "whose": "request"}, {})
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything, and goes on to the next call
        traceback.print_exc()
        return packed({"error": told(error)[:REASON], "whose": "code"}, {})


def told(error: BaseException) -> str:
    """An exception in one line, with the line of the user's code that it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    inside = [frame for frame in own if _short(frame.filename) != frame.filename]
    at = (inside or own)[-1:]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}:{error.lineno}: {error.msg}"
    where = f"{_short(at[0].filename)}:{at[0].lineno}: " if at else ""
    return f"{where}{type(error).__name__}: {' '.join(str(error).split()) or 'without a message'}"


def _short(path: str) -> str:
    """A file beside the script by its name from there; another one as it is."""
    absolute = os.path.abspath(path) if os.path.isabs(path) else os.path.join(DIRECTORY, os.path.basename(path))  # noqa: PTH100, PTH117, PTH118, PTH119 - as above
    return absolute.removeprefix(DIRECTORY + os.sep)


def _end_with_parent() -> None:
    """Have the kernel end this process with the one that started it; elsewhere the closed socket does, between calls.

    It is the first to go where memory runs out: the server can start it again.
    """
    if sys.platform != "linux":
        return
    import contextlib
    import ctypes

    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - as above
        file.write("1000")
    set_death_signal = 1
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(set_death_signal, 9)


if __name__ == "__main__":
    main()
