"""A right on the Kubernetes API, as data: the inventory, the namespace and each probe declare those that they need."""

from __future__ import annotations

from msgspec import Struct

READ = ("get", "list")
FOLLOW = ("get", "list", "watch")
MAKE = ("create", "patch", "delete")


class Right(Struct, frozen=True, kw_only=True):
    """Verbs on resources of one API group.

    `where` is the group that the cluster has to serve for the right to be needed; empty for the right's own group.
    """

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    where: str = ""
