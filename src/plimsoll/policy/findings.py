"""What policies find, and what that means for whoever wants to go on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from plimsoll.errors import PlimsollError

Verdict = Literal["passed", "warned", "broken", "unknown", "later"]
VERDICTS: tuple[Verdict, ...] = ("broken", "unknown", "later", "warned", "passed")
"""From what needs the most attention to what needs none."""
STOPS: frozenset[Verdict] = frozenset({"broken", "unknown"})
MOST_TOLD = 20


class Judged(Struct, frozen=True, kw_only=True):
    """One gate or rule and one thing. `later` is what cannot be known yet and is judged before the step that needs it.

    `where` is the place in the file, `reason` says what is wrong or what was found, `remedy` what to do.
    """

    gate: str
    about: str
    verdict: Verdict
    reason: str = ""
    remedy: str = ""
    where: str = ""

    def line(self) -> str:
        """The finding on one line, without its remedy."""
        why = f": {self.reason}" if self.reason else ""
        return f"{self.gate}: {self.about}{why}"


class PolicyRefused(PlimsollError):
    """Something breaks a policy, or it is not known whether it does."""

    lasting = True


def count(found: Iterable[Judged]) -> Mapping[Verdict, int]:
    """How many findings have each verdict."""
    counts: dict[Verdict, int] = dict.fromkeys(VERDICTS, 0)
    for each in found:
        counts[each.verdict] += 1
    return counts


def stopping(found: Iterable[Judged]) -> list[Judged]:
    """The findings that nothing goes past, the broken ones first."""
    return sorted((each for each in found if each.verdict in STOPS), key=lambda each: VERDICTS.index(each.verdict))


def require_passed(found: Sequence[Judged], what: str) -> None:
    """Raise PolicyRefused for what is broken or not known; `what` completes "policies forbid …"."""
    stops = stopping(found)
    if not stops:
        return
    first, others = stops[0], stops[1:MOST_TOLD]
    doubt = "" if first.verdict == "broken" else "it is not known whether it holds, which is no pass: "
    more = [f"and {each.where + ': ' if each.where else ''}{each.line()}" for each in others]
    left = len(stops) - 1 - len(others)
    told = [first.remedy, *more, *([f"and {left} more: plimsoll policy check lists them"] if left else [])]
    message = f"policies forbid {what}: {doubt}{first.line()}"
    raise PolicyRefused(message, where=first.where, hint="\n  ".join(filter(None, told)))
