"""Where the archive of a package is, and what the registry says of it."""

from __future__ import annotations

from msgspec import Struct


class Located(Struct, frozen=True, kw_only=True):
    """The archive of a package: its address, its digest by `algorithm` (empty without one), its licence."""

    url: str
    algorithm: str
    digest: str
    licence: str = ""
