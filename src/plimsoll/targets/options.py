"""What a user may say of a target on the command line, beside its name."""

from __future__ import annotations

from msgspec import Struct


class Options(Struct, frozen=True, kw_only=True):
    """`None` lets the target decide.

    `namespace` is where objects are made, `registry` a host and path that nodes, pods and this machine all reach,
    `base` the image that code is laid upon, `prefer` names of providers.
    """

    namespace: str | None = None
    registry: str | None = None
    base: str | None = None
    prefer: tuple[str, ...] = ()
