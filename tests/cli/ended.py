"""How a command has ended that ran in the test's own process."""

from __future__ import annotations

import json
from typing import Any

import msgspec


class Ended(msgspec.Struct, frozen=True):
    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The sentence of a refusal. There is one, and no defect."""
        assert self.out == ""
        first, *others = self.err.splitlines()
        assert first.startswith("error: ")
        assert all(each.startswith("  ") for each in others), self.err
        assert "defect" not in self.err
        return self.err


def one_object(ended: Ended) -> Any:
    (line,) = ended.out.splitlines()
    return json.loads(line)
