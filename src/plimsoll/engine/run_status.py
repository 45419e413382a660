"""The state of a run: the state in its journal, and whether its process is still alive."""

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
    """The newest run, or the run with an id. A run is `killed` when its journal says `running` and it holds no lock.

    Raises PlimsollError when there is no such run.
    """
    known = state.run_ids()
    if run is not None and run not in known:
        raise PlimsollError(
            f"there is no run '{run}'",
            where=str(state.runs),
            hint=f"the newest runs are: {', '.join(known[-3:]) or 'none'}",
        )
    for name in [run] if run else reversed(known):
        try:
            found = history(read_journal(state.journal(name)), results)
        except ValueError:
            # The run was killed before its plan was written: it has no history.
            continue
        who = holder(state.lock)
        alive = who is not None and who.run == found.run
        return found if found.state != "running" or alive else replace(found, state="killed")
    raise PlimsollError(
        "the application has not run yet", where=str(state.root.parent), hint="start it with plimsoll run"
    )
