"""Kinds that the file format defines and this version does not support: their parts are refused, never ignored."""

from __future__ import annotations

from typing import NoReturn

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Part
from plimsoll.application.scalars import Duration
from plimsoll.planning.kind import Kind, P
from plimsoll.planning.planner import Planner
from plimsoll.planning.steps import AnyStep


class Edge(Part, frozen=True, kw_only=True):
    """Services that are synchronised to an edge device."""

    services: tuple[str, ...]
    sync: Duration = "60s"


class AnnouncedKind(Kind[P]):
    """A kind without steps."""

    def check(self, file: ApplicationFile) -> None:
        """Raise FileError for the first part of this kind."""
        for name in self.of(file.application):
            text = f"this version does not support {self.key} such as '{name}'"
            raise file.error(text, "remove it", *self.place(name), at_key=True)

    def plan(self, name: str, part: P, planner: Planner) -> AnyStep:
        """Never called: `check` refuses every part of this kind."""
        _raise_unchecked(self.key, name)


class EdgeKind(AnnouncedKind[Edge]):
    """`spec.edges`."""

    key = "edges"
    part = Edge


def _raise_unchecked(key: str, name: str) -> NoReturn:
    raise KeyError(f"{key}.{name} was not checked before it was planned")


ANNOUNCED = (EdgeKind(),)
