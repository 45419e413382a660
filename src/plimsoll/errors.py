"""Errors, grouped by who can fix them.

    PlimsollError               every error that a user may see; any other exception is a defect of plimsoll
    ├── FileError               a mistake in the application file or the command line: exit 2
    ├── TargetError             the target's state, such as too little memory, a busy port or a held lock
    ├── ModelRefused            a model that failed a signature, a digest or its acceptance
    ├── MissingExtra            an optional dependency is not installed
    └── RequestError            a service answered a request with an error

Each error says what was wrong, where, and what to do. `cli.main` is the only place that prints them. Outcomes of the
user's own commands are values (see `engine.history`), not exceptions.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

_QUERY = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s\"'<>?#]{1,2000})\?[^\s\"'<>]+")


def without_queries(text: str) -> str:
    """A text without the queries of the addresses in it: one that is signed opens what it names to whoever reads it."""
    return _QUERY.sub(r"\1?…", text) if "://" in text else text


class PlimsollError(Exception):
    """An error that the user can act on.

    `message` says what was wrong, `where` names the place (file:line:column, object, path), `hint` says what to do.
    Queries of addresses are left out of all of them.
    """

    exit_code = 1
    lasting = False
    """Whether a retry without a change would fail again."""

    def __init__(self, message: str, *, where: str = "", hint: str = "", lasting: bool | None = None) -> None:
        self.message, self.where, self.hint = without_queries(message), without_queries(where), without_queries(hint)
        super().__init__(self.message)
        if lasting is not None:
            self.lasting = lasting

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"\n  {self.hint}" if self.hint else ""
        return f"{place}{self.message}{advice}"

    def on_one_line(self) -> str:
        """The error on one line, for a process whose caller shows only its last line."""
        return ", ".join(filter(None, [f"{self.where}: {self.message}" if self.where else self.message, self.hint]))

    def as_json(self) -> dict[str, dict[str, str]]:
        """The object that `--json` prints for every error."""
        return {"error": {"message": self.message, "where": self.where, "hint": self.hint}}


class FileError(PlimsollError):
    """The application file or the command line is wrong."""

    exit_code = 2


class TargetError(PlimsollError):
    """The target's state does not allow the operation."""


class ModelRefused(PlimsollError):
    """A model differs from what was signed, or misses its acceptance bounds."""

    lasting = True


class MissingExtra(PlimsollError):
    """An optional dependency is needed and not installed, or it is and this system cannot load it.

    Raised while an ImportError is handled, it tells which of the two.
    """

    lasting = True

    def __init__(self, extra: str, purpose: str) -> None:
        failed = sys.exc_info()[1]
        if isinstance(failed, ImportError) and not isinstance(failed, ModuleNotFoundError):
            lines = str(failed).strip().splitlines() or ["no reason is given"]
            reason = next((line.strip() for line in lines if ".so" in line), lines[-1])  # numpy's has a page around it
            super().__init__(
                f"{purpose} needs the extra '{extra}', which is installed and cannot be loaded: {reason[:300]}",
                hint=f"install the library that it names on this system, or again: {install_command((extra,))}",
            )
        else:
            super().__init__(
                f"{purpose} needs the extra '{extra}', which is not installed",
                hint=install_command((extra,)),
            )
        self.extra = extra


def install_command(extras: Sequence[str]) -> str:
    """The command that adds extras to plimsoll as it is installed here: from an index, a checkout or an address."""
    import json
    import re
    from importlib.metadata import PackageNotFoundError, distribution

    named = f"plimsoll[{','.join(extras)}]"
    try:
        direct = json.loads(distribution("plimsoll").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, OSError, ValueError):
        direct = {}
    url = str(direct.get("url", ""))
    if url.startswith("file:///") and "dir_info" in direct:
        editable = "-e " if direct["dir_info"].get("editable") else ""
        quoted = url.removeprefix("file://").encode()
        path = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes.fromhex(found[1].decode()), quoted)
        return f"pip install {editable}'{path.decode(errors='replace')}[{','.join(extras)}]'"
    if url and "vcs_info" in direct:
        return f"pip install '{named} @ {direct['vcs_info'].get('vcs', 'git')}+{url}'"
    return f"pip install '{named}'"


class RequestError(PlimsollError):
    """A service answered a request with an error."""


def not_utf8(error: UnicodeEncodeError) -> PlimsollError:
    """The error for text with bytes that are no UTF-8: the name of a file, or a variable of the environment."""
    text = str(error.object).encode(errors="backslashreplace").decode()
    return PlimsollError(
        f"a name has bytes that are not UTF-8: {text[:300]}",
        hint="give the file or the variable a name in UTF-8",
    )
