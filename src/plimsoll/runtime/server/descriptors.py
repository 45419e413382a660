"""File descriptors of a server process: as many connections as they allow, and some kept back."""

from __future__ import annotations

import contextlib
import resource

RESERVE = 128
"""Descriptors for models, logs, the channel to the supervisor, and clients that are told why they are refused."""


def connections_that_fit(wanted: int, asked: int = 0) -> int:
    """Raise the limit of open files as far as `wanted` connections need; the number of connections that it allows.

    `asked` are connections that the server itself has at most, to what it asks for answers. Without this, connections
    would be accepted until there is no descriptor for a health check or a model file.
    """
    kept = RESERVE + asked
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted + kept:
        raised = wanted + kept if hard == resource.RLIM_INFINITY else min(hard, wanted + kept)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, soft - kept))
