"""What the probe of tenants records."""

from __future__ import annotations

from plimsoll.capabilities.records import CheckRecord, CommonRecord

ATTACKER, OWNER = "attacker", "owner"
BEFORE, AFTER = "before", "after"


class SuiteBegan(CheckRecord, frozen=True, kw_only=True, tag="suite"):
    """The ways that are to be tried, by the API and by pods, and the namespaces of the two tenants."""

    attacker: str
    victim: str
    requests: tuple[str, ...]
    pods: tuple[str, ...]


class Asked(CheckRecord, frozen=True, kw_only=True, tag="asked"):
    """The API server's answer to a request of one way: `by` the attacker, or by the victim's owner as the control.

    `when` is before or after the others for a request that is a control of the attacker itself. A status of 200 stands
    for every success, 0 for no answer.
    """

    attack: str
    by: str
    status: int
    message: str
    when: str = ""


class LeftOut(CheckRecord, frozen=True, kw_only=True, tag="left-out"):
    """A way that this cluster does not have."""

    attack: str
    why: str


class Tried(CheckRecord, frozen=True, kw_only=True, tag="tried-by-pod"):
    """What a pod says of each of its tries: that it reached something, with what, or that it was refused."""

    role: str
    phase: str
    said: dict[str, str]


class Word(CheckRecord, frozen=True, kw_only=True, tag="word"):
    """The digest of the victim's word, which nobody else may have read: the word itself is credential-like."""

    digest: str


IsolationRecord = SuiteBegan | Asked | LeftOut | Tried | Word | CommonRecord
