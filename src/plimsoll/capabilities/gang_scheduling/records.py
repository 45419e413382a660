"""What the probe of gang scheduling records."""

from __future__ import annotations

from plimsoll.capabilities.records import CheckRecord, CommonRecord, PodState

ADMISSION, PLACEMENT = "admission", "placement"


class NodeRoom(CheckRecord, frozen=True, kw_only=True, tag="room"):
    """The node with the most unrequested processor time, in thousandths of a processor."""

    node: str
    free: int


class SchedulerTried(CheckRecord, frozen=True, kw_only=True, tag="scheduler", omit_defaults=True):
    """The scheduler whose cases follow, and by what it holds a gang back: `admission` or `placement`.

    A record without `by` has no case beside real processors. `others` are the schedulers that could be tried after it.
    """

    name: str
    by: str = ""
    others: tuple[str, ...] = ()


class Case(CheckRecord, frozen=True, kw_only=True, tag="case", omit_defaults=True):
    """How many pods of a gang were bound, at most, in one case of a scheduler.

    `all` says whether the whole gang ran, `seconds` and `reason` how long a gang waited and why, and `late` how many of
    its pods were bound while the control ran. Each case has those of these fields that it is about.
    """

    scheduler: str
    case: str
    bound: int
    all: bool | None = None
    seconds: float | None = None
    reason: str | None = None
    of: int | None = None
    late: int = 0
    pods: tuple[PodState, ...] = ()


GangRecord = NodeRoom | SchedulerTried | Case | CommonRecord
