"""W3C Trace Context: the trace of a request. Pure. Source: W3C Trace Context, level 2, section 3.2."""

from __future__ import annotations

import re

from msgspec import Struct

TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class TraceContext(Struct, frozen=True, kw_only=True):
    """Trace and span ids in hexadecimal. `sampled` means that the caller records this trace."""

    trace: str
    span: str
    sampled: bool


def parse_traceparent(header: str) -> TraceContext | None:
    """Parse a `traceparent` header. The standard requires to ignore an invalid header, so this returns `None`."""
    found = TRACEPARENT.fullmatch(header.strip())
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == "ff" or set(trace) == {"0"} or set(span) == {"0"} or (version == "00" and more):
        return None
    return TraceContext(trace=trace, span=span, sampled=bool(int(flags, 16) & 1))
