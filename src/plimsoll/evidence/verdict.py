"""The verdict on a requirement: an outcome with its figure, or with cause and remedy."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Outcome(StrEnum):
    """The outcomes of a requirement. What was not shown is never `pass`."""

    PASS = "pass"  # noqa: S105  # a verdict
    FAIL = "fail"
    NOT_IMPLEMENTED = "not-implemented"
    NOT_APPLICABLE = "not-applicable"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    ENVIRONMENT_ERROR = "environment-error"


class Verdict(Struct, frozen=True, kw_only=True):
    """The outcome, the one decisive figure, and the cause and the remedy of an outcome that is not a pass."""

    outcome: Outcome
    figure: str = ""
    cause: str = ""
    remedy: str = ""


def passed(figure: str) -> Verdict:
    """The capability was shown."""
    return Verdict(outcome=Outcome.PASS, figure=figure)


def failed(figure: str, cause: str, remedy: str) -> Verdict:
    """The capability was tested and is not there."""
    return Verdict(outcome=Outcome.FAIL, figure=figure, cause=cause, remedy=remedy)


def not_implemented(cause: str, remedy: str) -> Verdict:
    """The cluster has nothing that a SHOULD could be tested with, which the programme accepts."""
    return Verdict(outcome=Outcome.NOT_IMPLEMENTED, cause=cause, remedy=remedy)


def unknown(cause: str, remedy: str = "") -> Verdict:
    """The record shows neither that the capability is there nor that it is not."""
    return Verdict(outcome=Outcome.UNKNOWN, cause=cause, remedy=remedy)


def not_applicable(cause: str) -> Verdict:
    """The record shows that the requirement's own condition does not hold."""
    return Verdict(outcome=Outcome.NOT_APPLICABLE, cause=cause)


def environment_error(cause: str, remedy: str = "") -> Verdict:
    """Something other than the capability prevented the test."""
    return Verdict(outcome=Outcome.ENVIRONMENT_ERROR, cause=cause, remedy=remedy)


def skipped(cause: str) -> Verdict:
    """It was not tried."""
    return Verdict(outcome=Outcome.SKIPPED, cause=cause)
