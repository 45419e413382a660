"""Programs that know the credentials of registries, run within a limit of time and of output.

Source: the protocol of github.com/docker/docker-credential-helpers: the server's name on standard input, one object of
JSON on standard output.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import IO

from msgspec import Struct

from plimsoll.errors import TargetError

LIMIT = 20.0
"""Seconds for a helper, which may call a cloud's token service."""
MOST = 1 << 16
"""Bytes of an answer: a token of a cloud has a few thousand."""
_LAST_WORDS = 0.5
_TOLD = 200


class HelperAnswer(Struct, frozen=True, kw_only=True):
    """What a helper printed; of one that failed, `problem` are its words: it may merely have no credentials."""

    content: bytes = b""
    problem: str = ""


def ask_helper(program: str, key: str, where: str) -> HelperAnswer:
    """Have a helper tell the credentials of a server. Raises TargetError for one that is not there or does not end."""
    by_hand = f"run it by hand: echo {key} | {program} get"
    try:
        process = subprocess.Popen(
            [program, "get"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError:
        hint = f"install {program}, or log in without it"
        raise TargetError(f"the credential helper {program} is not on PATH", where=where, hint=hint) from None
    except OSError as error:
        message = f"the credential helper {program} cannot be started: {error.strerror}"
        raise TargetError(message, where=where, hint="install it anew, or log in without it") from None
    # Some print warnings on standard error, and what is wrong on either.
    output, errors = _Output(process.stdout), _Output(process.stderr)
    try:
        _tell(process, key)
        status = process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        message = f"the credential helper {program} did not answer within {LIMIT:g} s"
        raise TargetError(message, where=where, hint=by_hand) from None
    finally:
        _end(process)
    for each in (output, errors):
        each.thread.join(_LAST_WORDS)
    content = bytes(output.content)
    if len(content) > MOST:
        message = f"the credential helper {program} answered with more than {MOST} bytes"
        raise TargetError(message, where=where, hint=by_hand)
    if status == 0:
        return HelperAnswer(content=content)
    words = " ".join((content + b" " + errors.content).decode(errors="replace").split())[:_TOLD]
    # Words of programs end up on terminals.
    words = "".join(each for each in words if each.isprintable())
    return HelperAnswer(problem=f"{program} gave no credentials{f': {words}' if words else ''}")


def _tell(process: subprocess.Popen[bytes], key: str) -> None:
    assert process.stdin is not None  # noqa: S101 - it is asked for
    # One that does not read has nothing to ask.
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(key.encode())


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of it, in its session too."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Output:
    """What comes out of a helper, read by a thread: a helper that prints without an end is not waited for."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None  # noqa: S101 - it is asked for
        self._pipe = pipe
        self.content = bytearray()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        with self._pipe as pipe:
            while piece := os.read(pipe.fileno(), 1 << 14):
                # One byte more than is taken tells that it was too much.
                self.content += piece[: MOST + 1 - len(self.content)]
