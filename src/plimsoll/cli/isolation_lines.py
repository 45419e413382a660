"""What `plimsoll plan` says of isolation: which steps are kept apart by what, and which are not, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plimsoll.engine.preparation import Prepared


def isolation_of(prepared: Prepared, step: str) -> dict[str, str]:
    """The entry of a step in JSON."""
    from plimsoll.planning.isolation import isolation_levels

    level = isolation_levels(prepared.plan, prepared.facts).get(step)
    return {"isolation": level} if level is not None else {}


def isolation_lines(prepared: Prepared) -> Iterator[str]:
    """A line for each level, and one where steps run unprotected only because something is missing."""
    from plimsoll.planning.isolation import isolation_levels

    levels = isolation_levels(prepared.plan, prepared.facts)
    steps = {step.name: step for step in prepared.plan.steps}
    for level in ("strict", "process"):
        if named := [name for name, each in levels.items() if each == level]:
            about = prepared.facts.of(steps[named[0]].target).isolation
            by = (about.strict_by if level == "strict" else "") or about.by if about is not None else ""
            yield f"  isolated {', '.join(named)}: {level}, by {by}"
    bare = [name for name, level in levels.items() if level == "none"]
    if asked := [name for name in bare if steps[name].isolation is not None]:
        yield f"  not isolated {', '.join(asked)}: isolation: none"
    if lacking := [name for name in bare if steps[name].isolation is None]:
        about = prepared.facts.of(steps[lacking[0]].target).isolation
        why = f"{about.problem}; {about.remedy}" if about is not None else ""
        yield f"  not isolated {', '.join(lacking)}: {why}"
