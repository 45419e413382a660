"""What can go wrong, by who can mend it.

    PlimsollError               every error that a user may see; anything else is a defect of ours
    ├── FileError               the application file or the command line: exit 2
    ├── TargetError             the target's state: too little memory, a busy port, a held lock
    ├── ModelRefused            a model that failed a signature, a digest or its acceptance
    ├── MissingExtra            an optional part is not installed
    └── RequestError            a call to a service that the service answered with a reason

Each says what was wrong, where, and what to do. They are raised where the situation is known and printed in one
place, `cli.main`. Outcomes of the user's own commands are values (see `engine.history`), not exceptions.
"""

from __future__ import annotations

from typing import Any


class PlimsollError(Exception):
    """A situation that the user can act on.

    `message` says what was wrong, `where` names the place (file:line:column, object, path), `hint` says what to do.
    """

    exit_code = 1
    lasting = False
    """Whether trying again without a change would only fail again."""

    def __init__(self, message: str, *, where: str = "", hint: str = "", lasting: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        if lasting is not None:
            self.lasting = lasting

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"\n  {self.hint}" if self.hint else ""
        return f"{place}{self.message}{advice}"

    def on_one_line(self) -> str:
        """For processes whose last line is what their caller shows."""
        return ", ".join(filter(None, [f"{self.where}: {self.message}" if self.where else self.message, self.hint]))

    def as_json(self) -> dict[str, Any]:
        """The one shape of every error under `--json`."""
        return {"error": {"message": self.message, "where": self.where, "hint": self.hint}}


class FileError(PlimsollError):
    """The application file or the command line says something that cannot be meant."""

    exit_code = 2


class TargetError(PlimsollError):
    """The target is in a state that does not allow what was asked."""


class ModelRefused(PlimsollError):
    """A model is not what was signed, or not good enough to serve."""

    lasting = True


class MissingExtra(PlimsollError):
    """An optional part is needed and not installed."""

    lasting = True

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the extra '{extra}', which is not installed",
            hint=f"pip install 'plimsoll[{extra}]'",
        )
        self.extra = extra


class RequestError(PlimsollError):
    """A service answered a request with an error and its reason."""
