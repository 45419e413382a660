"""Whether bytes are a program, by how they begin and by the name of their file. Pure."""

from __future__ import annotations

import struct
from pathlib import PurePosixPath

_MACH_O = frozenset(
    {b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"}
    | {b"\xca\xfe\xba\xbf", b"\xbe\xba\xfe\xca"}
)
_SCRIPTS = {
    ".py": "a Python script",
    ".pyc": "byte code of Python",
    ".pyd": "a library of Windows",
    ".sh": "a shell script",
    ".bash": "a shell script",
    ".zsh": "a shell script",
    ".ps1": "a script of PowerShell",
    ".psm1": "a script of PowerShell",
    ".bat": "a batch file of Windows",
    ".cmd": "a batch file of Windows",
    ".vbs": "a script of Windows",
    ".js": "a script of JavaScript",
    ".so": "a library of Linux",
    ".dylib": "a library of macOS",
    ".dll": "a library of Windows",
    ".exe": "a program of Windows",
    ".com": "a program of Windows",
    ".scr": "a program of Windows",
    ".lnk": "a shortcut of Windows",
    ".desktop": "a launcher",
    ".jar": "an archive of Java classes",
}


def executable_kind(begin: bytes, name: str) -> str:
    """What kind of program a file is, in words; empty when it is none. `begin` are its first bytes."""
    if begin.startswith(b"\x7fELF"):
        return "a program or library of Linux (ELF)"
    if begin.startswith(b"MZ") and _is_pe(begin):
        return "a program or library of Windows (PE)"
    if begin[:4] in _MACH_O:
        return "a program or library of macOS (Mach-O) or a Java class"
    if begin.startswith(b"\0asm"):
        return "a WebAssembly module"
    if begin.removeprefix(b"\xef\xbb\xbf").startswith(b"#!"):
        return "a script that names its interpreter"
    return _SCRIPTS.get(PurePosixPath(name).suffix.lower(), "")


def _is_pe(begin: bytes) -> bool:
    """MZ and an offset to the PE header; without one that is near, MZ alone is a program of DOS."""
    if len(begin) < 64:
        return len(begin) > 2
    (offset,) = struct.unpack_from("<I", begin, 60)
    return offset >= len(begin) or begin[offset : offset + 2] in (b"PE", b"NE", b"LE")
