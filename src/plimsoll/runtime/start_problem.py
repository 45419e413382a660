"""Says why a command cannot be started: the system's own words name neither the interpreter nor the line end."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

from plimsoll.application.command_words import words_of
from plimsoll.errors import TargetError

FIRST_LINE = 256
"""Bytes of a first line that the kernel reads (BINPRM_BUF_SIZE)."""
_UNKNOWN = "unknown"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ELF = b"\x7fELF"


def start_problem(program: str, number: int, directory: Path, path: str) -> TargetError:
    """The error for a program that did not start with an error number of the system.

    `directory` is where the command starts and `path` its PATH.
    """
    file = directory / program if "/" in program else _on_path(program, path)
    if file is None or not file.exists():
        return TargetError(
            f"the command '{program}' was not found",
            hint="install it, correct `run`, or name a requirements file under spec.environment",
        )
    message, hint = _reason(file, number)
    return TargetError(message.format(file=f"'{program}'"), where=str(file), hint=hint, lasting=True)


def shell_start_problem(command: str, directory: Path) -> str:
    """Why a script that a shell command starts by its path does not start; empty when that is not the reason.

    A shell says "not found" of a script whose interpreter is not found.
    """
    for word in words_of(command):
        is_program = word.text.rpartition("/")[2] == word.program and "/" in word.text and not word.option
        file = directory / word.text
        if is_program and file.is_file():
            message, _ = _reason(file, 0)
            if message != _UNKNOWN:
                return message.format(file=f"'{word.text}'")
    return ""


def _on_path(program: str, path: str) -> Path | None:
    found = shutil.which(program, mode=os.F_OK, path=path)
    return Path(found) if found else None


def _reason(file: Path, number: int) -> tuple[str, str]:
    """Message, with `{file}` for the name of the file, and hint."""
    if file.is_dir():
        return "{file} is a directory", "name a file in it"
    if not os.access(file, os.X_OK):
        return "{file} is not executable", "allow it with `chmod +x`, or name its interpreter before it"
    try:
        with file.open("rb") as start:
            first, end, _ = start.read(FIRST_LINE).partition(b"\n")
    except OSError:
        return f"{{file}} cannot be started: {os.strerror(number)}", "make it readable"
    if first.startswith(_BYTE_ORDER_MARK):
        return "{file} begins with a byte order mark, which hides its first line", "save it as UTF-8 without the mark"
    if first.startswith(b"#!"):
        return _reason_of_script(first, number, complete=bool(end))
    if first.startswith(_ELF) and number:
        return (
            "{file} is a program for another machine, or needs a C library that is not here",
            f"build it for this machine ({os.uname().machine})",
        )
    if number == errno.ENOEXEC:
        hint = "begin it with a line such as #!/bin/sh, or name its interpreter before it"
        return "{file} does not begin with a line that names its interpreter", hint
    if number == 0:
        return _UNKNOWN, ""
    return f"{{file}} cannot be started: {os.strerror(number)}", "look at the file and its first line"


def _reason_of_script(first: bytes, number: int, *, complete: bool) -> tuple[str, str]:
    # The kernel separates by spaces and tabs alone, so that a CR is part of the name before it.
    interpreter = os.fsdecode(re.split(rb"[ \t]", first[2:].strip(b" \t"), maxsplit=1)[0])
    if interpreter.endswith("\r"):
        interpreter = interpreter.strip()
        message = f"the first line of {{file}} ends with CRLF, so that its interpreter would be '{interpreter}\\r'"
        return message, "save it with the line ends of Unix, for example with sed -i 's/\\r$//'"
    if not complete and len(first) >= FIRST_LINE:
        return f"the first line of {{file}} is longer than {FIRST_LINE} bytes", "use a shorter path of the interpreter"
    if not interpreter or not Path(interpreter).exists():
        message = f"the interpreter '{interpreter}' in the first line of {{file}} was not found"
        return message, "install it, or correct the first line"
    if number == 0:
        return _UNKNOWN, ""
    message = f"the interpreter '{interpreter}' in the first line of {{file}} cannot be started: {os.strerror(number)}"
    return message, "look at its permissions, and at those of its disk"
