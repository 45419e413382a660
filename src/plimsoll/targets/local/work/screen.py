"""Screens rows in a process of its own, and holds what was found against the bounds of the file."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import TargetError
from plimsoll.files import replace_file
from plimsoll.kinds.screen import ScreenResult, ScreenRows
from plimsoll.runtime.outputs import files_in
from plimsoll.screens.bounds import missed
from plimsoll.screens.figures import Screening
from plimsoll.screens.order import ScreenOrder
from plimsoll.targets.attempt import Progress, done, failed
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.commands import base_environment, input_path
from plimsoll.targets.local.isolation import kept_apart
from plimsoll.targets.local.workers import Command, run_together

ORDER, REPORT, PROFILE = "order.json", "report.json", "profile.json"


def screen(attempt: LocalAttempt[ScreenRows]) -> Progress:
    """Look at the rows. A screen that misses a bound fails, so that no training begins after it."""
    work, state = attempt.work, attempt.context.state
    table = input_path(work.table, state)
    held_out = input_path(work.test, state) if work.test is not None else None
    earlier = Path(state.latest, attempt.step.name, PROFILE).resolve()
    report = attempt.output / REPORT
    order = ScreenOrder(
        table=str(table),
        held_out=str(held_out or ""),
        label=work.label,
        ignore=work.ignore,
        allowed=work.allowed,
        rows=work.rows,
        earlier=str(earlier) if earlier.is_file() else "",
        before=_before(earlier.with_name(REPORT)),
        profile=str(attempt.output / PROFILE),
        report=str(report),
    )
    written = attempt.output / ORDER
    replace_file(written, msgspec.json.encode(order))
    environment = {
        **base_environment(None),
        "PLIMSOLL_OUTPUT": str(attempt.output),
        "OMP_NUM_THREADS": str(max(1, int(attempt.step.resources.cores))),
    }
    argv = [sys.executable, "-m", "plimsoll.screens", str(written)]
    command = Command(argv=argv, environment=environment, resources=attempt.step.resources)
    reads = [table, *([held_out] if held_out else []), *([earlier] if order.earlier else [])]
    with kept_apart(attempt, environment, reads) as apart:
        reason = yield from run_together(attempt, [command], work.timeout, apart)
    written.unlink(missing_ok=True)
    if reason:
        return failed(f"the rows were not screened: {reason}")
    found, digest = _found(report)
    if refusals := missed(found, work.accept):
        return failed(f"{work.table.name} does not pass its screen: {'; '.join(refusals)}", lasting=True)
    return done(
        ScreenResult(
            outputs=files_in(attempt.output),
            metrics=found.figures,
            notes=found.notes,
            table=f"{work.table.name}/{work.table.file}" if work.table.file else work.table.name,
            rows=found.rows,
            held_out=found.held_out,
            bounds=work.accept,
            unmeasured=dict(found.unmeasured),
            first=found.first,
            findings=found.findings,
            sha256=digest,
        )
    )


def _before(report: Path) -> dict[str, float]:
    """The figures of the version before; none where there is none."""
    return dict(_found(report)[0].figures) if report.is_file() else {}


def _found(report: Path) -> tuple[Screening, str]:
    """What the process wrote, and its SHA-256. Raises TargetError."""
    try:
        content = report.read_bytes()
        return msgspec.json.decode(content, type=Screening), hashlib.sha256(content).hexdigest()
    except (*UNREADABLE, OSError) as error:
        raise TargetError(f"the report of the screen cannot be read: {error}", hint="run again") from error
