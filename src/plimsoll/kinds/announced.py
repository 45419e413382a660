"""Kinds that the file format defines and this version does not support: their parts are refused, never ignored."""

from __future__ import annotations

from typing import NoReturn

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Part
from plimsoll.planning.kind import Kind, P
from plimsoll.planning.planner import Planner
from plimsoll.planning.steps import AnyStep


class Assistant(Part, frozen=True, kw_only=True):
    """A language model that answers from an index."""

    index: str
    llm: str


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


class AssistantKind(AnnouncedKind[Assistant]):
    """`spec.assistants`."""

    key = "assistants"
    part = Assistant


def _raise_unchecked(key: str, name: str) -> NoReturn:
    raise KeyError(f"{key}.{name} was not checked before it was planned")


ANNOUNCED = (AssistantKind(),)
