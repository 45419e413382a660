"""`plimsoll erase --expired`: rows and results that are older than their dataset may keep them.

With `time`, a row expires by the time in that column. Without, what was fetched or made expires by its age as a whole.
What was made of it goes too, and is computed again of the rows that may be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.scalars import retention_in_seconds
from plimsoll.engine.cleaning.kept import states_beside
from plimsoll.engine.erasing.finding import CHECKPOINT, RESULT, SOURCE, WORK, Finding, Found, told
from plimsoll.engine.erasing.lineage import WITHOUT_ROWS, keys_of_dataset, known_steps, local_sources, made_of
from plimsoll.engine.erasing.states import shown
from plimsoll.errors import FileError, PlimsollError, TargetError
from plimsoll.kinds.dataset import DATASETS, Dataset, Fetch
from plimsoll.state.beginning import none_beginning
from plimsoll.state.integrity import RESULT as RESULT_FILE
from plimsoll.state.lock import require_free
from plimsoll.state.removing import remove_whole
from plimsoll.subjects.contents import look_into
from plimsoll.subjects.rewriting import remove_rows
from plimsoll.subjects.times import Expired
from plimsoll.targets.features import USES
from plimsoll.targets.port import Target


class Expiring:
    """What has expired of an application on this machine."""

    def __init__(self, file: ApplicationFile, target: Target, *, sources: bool, now: datetime | None = None) -> None:
        """Raises FileError for a file in which nothing expires."""
        self._file, self._target, self._sources = file, target, sources
        self._now = now or datetime.now(UTC)
        self._states = [target.state, *states_beside(target.state)]
        kept = {name: part for name, part in DATASETS.of(file.application).items() if part.retention is not None}
        if not kept:
            hint = "add `retention: 400d` to a dataset, and `time: COLUMN` where its rows have a time"
            raise FileError("no dataset says how long it is kept", where=file.where("spec"), hint=hint)
        self._datasets = kept
        self._matchers: dict[str, tuple[Expired, str]] = {}

    def find(self) -> Found:
        """What has expired at this moment. Nothing is written."""
        problems: list[str] = []
        findings: dict[str, Finding] = {}
        steps = known_steps(self._states)
        roots: set[str] = set()
        for name, part in self._datasets.items():
            keys = [key for key, _ in keys_of_dataset(name, steps)]
            if part.time is None:
                roots |= {key for key in keys if self._is_old(key, self._before(part))}
                continue
            expired = Expired(self._before(part))
            for finding in self._in_source(name, part, expired, problems):
                findings[finding.path] = finding
                roots |= set(keys)
            roots |= {key for key in keys if self._has_expired(key, part, expired)}
            if expired.unreadable:
                problems.append(f"dataset {name}: {expired.unreadable} cells of '{part.time}' are no time")
        used = self._used()
        for key in made_of(roots, steps):
            if steps[key].name.partition("/")[0] not in WITHOUT_ROWS:
                findings |= {each.path: each for each in self._results(key, steps[key].name, used)}
        return Found(findings=tuple(findings.values()), unsearched=tuple(problems))

    def carry_out(self, listener: Callable[[Finding], None] = lambda _: None) -> Found:
        """Remove it, and search again. Raises TargetError while a run goes on."""
        state = self._target.state
        try:
            with none_beginning(state.gate):
                for each in self._states:
                    require_free(each.lock)
                found = self.find()
                for finding in sorted(found.findings, key=lambda each: each.place == SOURCE):
                    if finding.how != "kept":
                        self._act(finding)
                        listener(finding)
                return self.find()
        except OSError as error:
            hint = "make it writable, and run the same command again"
            where = str(error.filename or state.root)
            raise TargetError(f"cannot be removed: {error.strerror or error}", where=where, hint=hint) from error

    def _act(self, finding: Finding) -> None:
        path = Path(finding.path)
        if finding.how == "rewritten":
            matcher, column = self._matchers[finding.path]
            remove_rows(path, matcher, {column})
        else:
            remove_whole(path, self._target.state.removed)

    def _before(self, part: Dataset) -> datetime:
        return self._now - timedelta(seconds=retention_in_seconds(part.retention or ""))

    def _in_source(self, name: str, part: Dataset, expired: Expired, problems: list[str]) -> Iterator[Finding]:
        column = part.time or ""
        for source in local_sources(self._file, self._target.state):
            for path in source.files if source.dataset == name else ():
                seen = look_into(path, expired, {column})
                if seen.problem:
                    problems.append(f"{path}: {seen.problem}")
                if seen.rows:
                    self._matchers[str(path)] = (expired, column)
                    why = f"older than {part.retention} ({source.where})"
                    if not self._sources:
                        why += ": it is a file of yours; --sources takes the rows out of it"
                    yield Finding(
                        place=SOURCE,
                        name=shown(self._target.state, path),
                        what=told(seen),
                        how="rewritten" if self._sources else "kept",
                        why=why,
                        path=str(path),
                    )

    def _has_expired(self, key: str, part: Dataset, expired: Expired) -> bool:
        outputs = (state.output(key) for state in self._states)
        paths = (path for output in outputs if output.is_dir() for path in output.rglob("*") if path.is_file())
        return any(look_into(path, expired, {part.time or ""}).rows for path in paths)

    def _is_old(self, key: str, before: datetime) -> bool:
        for state in self._states:
            try:
                made = (state.results / key / RESULT_FILE).stat().st_mtime
            except OSError:
                continue
            if made < before.timestamp() and _has_files(state.results / key):
                return True
        return False

    def _results(self, key: str, step: str, used: dict[str, str]) -> Iterator[Finding]:
        for state in self._states:
            for place, path in (
                (RESULT, state.results / key),
                (CHECKPOINT, state.checkpoints / key),
                (WORK, state.work / key),
            ):
                if not path.is_dir() or path.is_symlink() or (step.startswith(Fetch.verb) and not _has_files(path)):
                    continue
                who = used.get(key)
                yield Finding(
                    place=place,
                    name=shown(state, path),
                    what=step,
                    how="kept" if who else "removed",
                    why=f"{who} reads it" if who else "made of rows that have expired, or expired itself",
                    path=str(path),
                )

    def _used(self) -> dict[str, str]:
        features = self._target.features
        uses = features.require(USES)() if USES in features else ()
        return {key: use.who for use in uses for key in use.keys}


def expired_notes(file: ApplicationFile, target: Target) -> list[str]:
    """What a plan says of rows that are older than they may be. Raises FileError where nothing expires."""
    try:
        found = Expiring(file, target, sources=True).find()
    except PlimsollError as error:
        return [f"what has expired is not known: {error.on_one_line()}"]
    notes = [f"{each.name}: {each.what}, {each.why}" for each in found.findings if each.place == SOURCE]
    results = sum(each.place == RESULT for each in found.findings)
    notes += [f"{results} results are of expired rows, or expired themselves"] if results else []
    notes += list(found.unsearched)
    return [f"{each}: plimsoll erase --expired --sources" for each in notes]


def _has_files(result: Path) -> bool:
    output = result / "output"
    return output.is_dir() and any(output.iterdir())
