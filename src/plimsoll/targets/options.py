"""What a user may say of a target, beside its name."""

from __future__ import annotations

from msgspec import Struct


class TargetOptions(Struct, frozen=True, kw_only=True):
    """`None` lets the target decide.

    `namespace` is where objects are made, `registry` a host and path that nodes, pods and this machine all reach,
    `base` the base image for the layers of the user's code, `prefer` names of providers. `image` is the application
    file's own `spec.environment.image`; `base` wins over it.
    """

    namespace: str | None = None
    registry: str | None = None
    base: str | None = None
    prefer: tuple[str, ...] = ()
    image: str | None = None


CLUSTER_ONLY = ("namespace", "registry", "base", "prefer")
"""Options that mean something on a cluster alone, by the name of their flag."""
