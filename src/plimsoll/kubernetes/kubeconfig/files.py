"""The files that kubeconfigs are read from."""

from __future__ import annotations

import codecs
import os
import select
import stat
import time
from pathlib import Path

from plimsoll.errors import FileError
from plimsoll.home import home

MAX_BYTES = 64 << 20
"""Size limit of a file: a thousand clusters with their certificates have about 10 MB."""
PIPE_LIMIT = 10.0
"""Seconds for all that a pipe has to say, such as that of `KUBECONFIG=<(command)`."""
_PIPES: dict[tuple[int, int], bytes] = {}
"""What was read from pipes, by their device and number: it can be read once only."""
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def kubeconfigs() -> list[Path]:
    """The files of KUBECONFIG, each once, or ~/.kube/config. Raises FileError when there is no home directory."""
    listed = os.environ.get("KUBECONFIG", "")
    if found := [Path(each) for each in dict.fromkeys(listed.split(os.pathsep)) if each]:
        return found
    directory = home()
    if directory is None:
        hint = "set KUBECONFIG to the file of your clusters, or HOME to the directory that has .kube/config"
        raise FileError("there is no kubeconfig: the user has no home directory", where="KUBECONFIG", hint=hint)
    return [directory / ".kube" / "config"]


def read_text(path: Path) -> str | None:
    """The text of a file; `None` when there is none. Raises FileError when it cannot be read."""
    content = read_bytes(path)
    if content is None:
        return None
    coding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(coding)
    except UnicodeDecodeError as error:
        before = content[: error.start].split(b"\n")
        where = f"{path}:{len(before)}:{len(before[-1]) + 1}"
        raise FileError("this is not UTF-8 text", where=where, hint="save the kubeconfig as UTF-8") from None


def read_bytes(path: Path) -> bytes | None:
    """The content of a file or a pipe; `None` when there is none. Raises FileError when it cannot be read."""
    try:
        # A pipe without a writer would hold up the opening for ever.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from None
    try:
        return _all_of(file, path)
    except OSError as error:
        raise _unreadable(path, error.strerror) from None
    finally:
        os.close(file)


def _all_of(file: int, path: Path) -> bytes:
    found = os.fstat(file)
    if not stat.S_ISFIFO(found.st_mode):
        return _to_its_end(file, path, waits=False)
    known = (found.st_dev, found.st_ino)
    if known not in _PIPES:
        _PIPES[known] = _to_its_end(file, path, waits=True)
    return _PIPES[known]


def _to_its_end(file: int, path: Path, *, waits: bool) -> bytes:
    deadline = time.monotonic() + PIPE_LIMIT
    content = bytearray()
    while True:
        if waits and not select.select([file], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise _unreadable(path, f"nothing was written to this pipe within {PIPE_LIMIT:.0f} s")
        try:
            piece = os.read(file, 1 << 20)
        except BlockingIOError:
            continue
        if not piece:
            return bytes(content)
        content += piece
        if len(content) > MAX_BYTES:
            raise _unreadable(path, f"it has more than {MAX_BYTES >> 20} MiB")


def _unreadable(path: Path, why: str | None) -> FileError:
    hint = "KUBECONFIG lists files, with ':' between them" if path.is_dir() else "see that it is the file that you mean"
    return FileError(f"this file cannot be read: {why}", where=str(path), hint=hint)
