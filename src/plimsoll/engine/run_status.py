"""The state of a run: what its journal says, and whether a process still carries it out."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from plimsoll.engine.history import RunHistory, history
from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import read_journal
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import holder
from plimsoll.state.results import Result


def run_status(
    state: StateDirectory, run: str | None = None, results: Mapping[str, type[Result]] | None = None
) -> RunHistory:
    """The newest run, or the one of that id. A run that says it runs while nobody holds the lock was `killed`.

    Raises PlimsollError when there is no such run.
    """
    known = state.run_ids()
    if run is not None and run not in known:
        raise PlimsollError(
            f"there is no run '{run}'", where=str(state.runs), hint=f"the newest are {', '.join(known[-3:]) or 'none'}"
        )
    for name in [run] if run else reversed(known):
        try:
            found = history(read_journal(state.journal(name)), results)
        except ValueError:
            # Killed before its plan was written: nothing happened in it.
            continue
        who = holder(state.lock)
        alive = who is not None and who.run == found.run
        return found if found.state != "running" or alive else replace(found, state="killed")
    raise PlimsollError("nothing has been run here", where=str(state.root.parent), hint="plimsoll run")
