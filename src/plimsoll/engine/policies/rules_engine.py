"""Whether there is something that evaluates the rules of a file, before anything starts."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.policies import AT
from plimsoll.errors import install_command
from plimsoll.planning.capacity import Shortfall
from plimsoll.policy.rego.rules import EXTRA, find_engine


def missing_engine(file: ApplicationFile) -> Iterator[Shortfall]:
    """What is missing for the rules of a file; nothing where it has none."""
    if file.application.policies.rules is not None and find_engine() is None:
        yield Shortfall(
            step="",
            setting=(*AT, "rules"),
            message=f"rules need the extra '{EXTRA}', which is not installed, or the program opa on PATH",
            remedy=install_command((EXTRA,)),
        )
