"""A filter of system calls that no training needs, and that lead to the kernel's parts which no namespace keeps apart.

Sources: seccomp(2), the kernel's tables of system calls for x86-64 and for 64-bit ARM.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping, Sequence

_LOAD_WORD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
"""Offsets in struct seccomp_data."""
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM
_X32 = 0x40000000
"""Numbers from here on are the same calls by another way in."""
_ANYWHERE = (425, 426, 427, *range(428, 434), 442, 443)
"""io_uring, the newer calls of mount, quotactl_fd: the same number on each."""
_NUMBERS: Mapping[str, tuple[int, tuple[int, ...]]] = {
    # Keys of the kernel, bpf, perf, userfaultfd; kexec and modules; mounts and roots; swap, reboot and clocks; accounts
    # and quotas; files by handle, namespaces; the kernel's log, hangups; ports (x86 alone).
    "x86_64": (
        0xC000003E,
        (
            *(248, 249, 250, 321, 298, 323, 246, 320, 175, 313, 176, 165, 166, 155, 161, 167, 168, 169),
            *(164, 227, 159, 305, 163, 179, 304, 308, 272, 103, 153, 172, 173),
        ),
    ),
    "aarch64": (
        0xC00000B7,
        (
            *(217, 218, 219, 280, 241, 282, 104, 294, 105, 273, 106, 40, 39, 41, 51, 224, 225, 142),
            *(170, 112, 171, 266, 89, 60, 265, 268, 97, 116, 58),
        ),
    ),
}


def system_call_filter(machine: str) -> bytes:
    """The filter as a program of the kernel; empty for a machine whose numbers are not known here."""
    if machine not in _NUMBERS:
        return b""
    architecture, refused = _NUMBERS[machine]
    return _program(architecture, (*refused, *_ANYWHERE), x32=machine == "x86_64")


def _program(architecture: int, refused: Sequence[int], *, x32: bool) -> bytes:
    """Refuse other architectures and the numbers that are named; allow the rest."""
    tests = [(_AT_LEAST, _X32)] if x32 else []
    tests += [(_EQUAL, number) for number in refused]
    lines = [(_LOAD_WORD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _REFUSE)]
    lines.append((_LOAD_WORD, 0, 0, _NUMBER))
    # A test that holds leads over the tests behind it and the line that allows.
    lines += [(code, len(tests) - place, 0, value) for place, (code, value) in enumerate(tests)]
    lines += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
