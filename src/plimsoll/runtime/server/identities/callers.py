"""Callers and their roles."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Literal, get_args

from msgspec import Struct

Role = Literal["infer", "feedback", "metrics", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)


class Caller(Struct, frozen=True, gc=False):
    """Who sent a request: a name that no other caller has, and roles. The name is empty where nobody was asked for."""

    name: str = ""
    roles: frozenset[str] = frozenset()

    def may(self, role: Role) -> bool:
        """Whether the caller has the role; an administrator has all of them."""
        return role in self.roles or "admin" in self.roles


class Shown(Struct, frozen=True, gc=False):
    """A certificate that a connection was opened with, and the number of the authorities that it was known by."""

    der: bytes
    trusted: int = 0


class KeysNeeded(Exception):
    """The key of a token is not known; its issuer may have made it since its keys were fetched last."""


ANYBODY = Caller()
present: ContextVar[Caller] = ContextVar("caller", default=ANYBODY)
"""The caller of the request that is being answered."""
