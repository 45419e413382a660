"""The search for a person in all that an application keeps on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import cast

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.shape import suggest_name
from plimsoll.engine.cleaning.kept import states_beside
from plimsoll.engine.erasing.audit_logs import findings_in_logs
from plimsoll.engine.erasing.finding import CLUSTER, INDEX, SOURCE, Finding, Found, How, told
from plimsoll.engine.erasing.lineage import (
    WITHOUT_ROWS,
    LocalSource,
    content_of,
    keys_of_dataset,
    known_steps,
    local_sources,
    made_of,
    subject_columns,
)
from plimsoll.engine.erasing.states import findings_in, shown
from plimsoll.engine.erasing.versions import (
    IsOf,
    Origins,
    PersonsDocuments,
    Versions,
    changes_of_person,
    deleted_in,
    index_of,
)
from plimsoll.errors import FileError, MissingExtra, PlimsollError
from plimsoll.evidence.run_events import PlannedStep
from plimsoll.kinds.dataset import DATASETS, is_path
from plimsoll.kinds.index import INDEXES
from plimsoll.kinds.train import TrainGang
from plimsoll.runtime.tables.people import names_of
from plimsoll.state.directory import LOCAL, StateDirectory
from plimsoll.subjects.contents import Seen, look_into
from plimsoll.subjects.identity import Matcher
from plimsoll.subjects.texts import places
from plimsoll.targets.features import ROWS, USES
from plimsoll.targets.port import Target

_ROWS = 1 << 16


class Search:
    """Finds a person. What it has found by lineage is in `steps`, `derived` and `trainings` afterwards."""

    def __init__(self, file: ApplicationFile, target: Target, matcher: Matcher, *, sources: bool) -> None:
        """Raises FileError for a file that does not say whose its rows are."""
        self._file, self._target, self._matcher, self._sources = file, target, matcher, sources
        self._state = target.state
        self._states = [target.state, *states_beside(target.state)]
        self.columns = subject_columns(file)
        if not self.columns:
            where = file.where("spec")
            hint = "add `subject: COLUMN` to the dataset that has the ids of people"
            raise FileError("no dataset says whose its rows are", where=where, hint=hint)
        self.versions = Versions(file, target)
        self.steps: dict[str, PlannedStep] = {}
        self.derived: frozenset[str] = frozenset()
        self.trainings: tuple[str, ...] = ()
        self._problems: list[str] = []
        self._seen: dict[Path, Seen] = {}

    def find(self) -> Found:
        """All that there is of the person. Raises PlimsollError when it cannot be told what was made of what."""
        self._problems, self._seen = [], {}
        self.steps = known_steps(self._states)
        sources = local_sources(self._file, self._state)
        self._require_columns(sources)
        in_sources = {source.dataset: self._in_source(source) for source in sources}
        holding = {source.dataset: source.digest for source in sources if in_sources[source.dataset]}
        roots = {*self._roots_of_sources(sources, holding), *self._roots_of_results()}
        self.derived = made_of(roots, self.steps)
        self.trainings = tuple(sorted(key for key in self.derived if self._verb(key) == TrainGang.verb))
        origins = Origins(
            keys=self.derived,
            digests={name: frozenset({digest}) for name, digest in holding.items()},
            present={source.dataset: source.digest for source in sources if self._is_declared(source.dataset)},
        )
        rows = self._rows_of_indexes(sources)

        def is_of(index: str) -> IsOf:
            return PersonsDocuments(self._matcher, self.columns, rows.get(index, frozenset()))

        findings = [each for found in in_sources.values() for each in found]
        findings += self._in_states(sources)
        versions = list(self._in_registry(origins, is_of))
        findings += [*versions, *self._on_target(versions)]
        return Found(
            findings=tuple(findings),
            models=tuple(self.versions.trained(origins)),
            unsearched=tuple(dict.fromkeys(self._problems)),
            notes=tuple(self._notes()),
        )

    def _look(self, path: Path) -> Seen:
        """Once for each file of a search."""
        if path not in self._seen:
            self._seen[path] = look_into(path, self._matcher, self.columns)
        return self._seen[path]

    def _look_at_name(self, path: Path) -> Seen:
        if not self._matcher.in_texts:
            return Seen()
        name = str(path.relative_to(self._state.registry.parent)).encode("utf-8", "surrogateescape")
        return Seen(mentions=sum(1 for _ in places(name, self._matcher)))

    def _require_columns(self, sources: Collection[LocalSource]) -> None:
        """Raise FileError for a source of Parquet files without the column that the file names for it."""
        for source in sources:
            column = DATASETS.of(self._file.application)[source.dataset].subject
            tables = [path for path in source.files if path.suffix == ".parquet"] if column else []
            with contextlib.suppress(MissingExtra):
                known = [names_of(path) for path in tables]
                if known and not any(column in names for names in known):
                    at = (*DATASETS.place(source.dataset), "subject")
                    hint = suggest_name(column or "", known[0])
                    raise self._file.error(f"{source.root.name} has no column '{column}'", hint, *at)

    def _in_source(self, source: LocalSource) -> list[Finding]:
        found = []
        for path in source.files:
            seen = self._look(path)
            if seen.problem:
                self._problems.append(f"{path}: {seen.problem}")
            if not seen.found:
                continue
            how: How = "kept"
            why = f"it is a file of yours ({source.where}): --sources takes the rows out of it"
            if self._sources:
                how, why = (
                    ("rewritten", source.where)
                    if seen.rows
                    else (
                        "kept",
                        f"no column of it has the id: add `subject` to dataset {source.dataset} ({source.where})",
                    )
                )
            found.append(
                Finding(place=SOURCE, name=shown(self._state, path), what=told(seen), how=how, why=why, path=str(path))
            )
        return found

    def _roots_of_sources(self, sources: Collection[LocalSource], holding: Collection[str]) -> Iterator[str]:
        """Steps that read a source with the person, or a source of people as it was before."""
        for source in sources:
            if not (source.dataset in holding or self._is_declared(source.dataset)):
                continue
            for key, step in keys_of_dataset(source.dataset, self.steps):
                if source.dataset in holding or content_of(step) != source.digest:
                    yield key

    def _roots_of_results(self) -> Iterator[str]:
        """Steps whose own files have the person: fetched copies, and what commands wrote."""
        for name in DATASETS.of(self._file.application):
            for key, _ in keys_of_dataset(name, self.steps):
                if any(self._has_person(state.output(key)) for state in self._states):
                    yield key

    def _has_person(self, directory: Path) -> bool:
        return directory.is_dir() and any(
            path.is_file() and self._look(path).found for path in sorted(directory.rglob("*"))
        )

    def _in_states(self, sources: Collection[LocalSource]) -> Iterator[Finding]:
        used = self._used()
        local = {source.dataset for source in sources}
        gone = {
            key for key in self.derived if self._verb(key) not in WITHOUT_ROWS and not self._is_reference(key, local)
        }
        why = {key: f"made of {self._origin(key)}" for key in gone}
        for state in self._states:
            yield from findings_in(state, gone, why, used, self._look, self._look_at_name, self._problems)
            yield from findings_in_logs(state, self._matcher, self.columns)

    def _on_target(self, versions: Collection[Finding]) -> Iterator[Finding]:
        """Results that lie on the target itself: what was made of the person's rows, as they are in no file here."""
        if ROWS not in self._target.features:
            return
        for each in versions:
            if each.ids and each.name == each.ids[0]:
                self._problems.append(f"a copy of {each.name} in the registry of {self._target.name}: delete it there")
        keys = frozenset(key for key in self.derived if self._verb(key) not in WITHOUT_ROWS)
        name = f"results on {self._target.name}"
        try:
            found = self._target.features.require(ROWS).find(keys)
        except PlimsollError as error:
            self._problems.append(f"{name}: {error.on_one_line()}")
            return
        for service in self._target.services():
            text = "the cluster keeps what its pods print; erase the person where it is collected"
            self._problems.append(f"logs of service {service} on {self._target.name}: {text}")
        if found:
            tags = tuple(each.name for each in found)
            yield Finding(place=CLUSTER, name=name, what=f"{len(tags)} results", how="removed",
                          why="made of the person's rows", ids=tuple(sorted(keys)))  # fmt: skip

    def _in_registry(self, origins: Origins, is_of: Callable[[str], IsOf]) -> Iterator[Finding]:
        versions = list(self.versions.findings(origins, self._look, is_of, self._problems))
        yield from versions
        kept = {index_of(each.name) for each in versions if each.place == INDEX and each.how == "kept"}
        built = {name: ids for name, ids in self.versions.documents(is_of).items() if name in kept} if kept else {}
        for state in self._states:
            yield from self._hidden(state, is_of, built if state.root == self._state.root else {})

    def _hidden(
        self, state: StateDirectory, is_of: Callable[[str], IsOf], built: dict[str, tuple[str, ...]]
    ) -> Iterator[Finding]:
        """Documents that a live index would still give, and what the journals of changes have."""
        changed = {name: (path, ids) for name, path, ids in changes_of_person(state, self._matcher, is_of)}
        for name in sorted({*changed, *built}):
            path, ids = changed.get(name, (state.changes / f"{name}.jsonl", ()))
            deleted, needed = deleted_in(path), built.get(name, ())
            shown_still = tuple(each for each in needed if each not in deleted)
            gone = tuple(each for each in ids if each not in needed)
            for wanted, how, why in (
                (shown_still, "hidden", "searches find them no more"),
                (gone, "rewritten", "the journal of changes forgets them"),
            ):
                if wanted:
                    yield Finding(place=INDEX, name=f"{name} ({how})", what=f"{len(wanted)} documents",
                                  how=cast("How", how), why=why, path=str(path), ids=wanted)  # fmt: skip

    def _rows_of_indexes(self, sources: Collection[LocalSource]) -> dict[str, frozenset[str]]:
        """The ids of the documents that the person's rows are, by the name of the index."""
        found = {}
        roots = {source.dataset: source.root for source in sources}
        for name, part in INDEXES.of(self._file.application).items():
            if part.text is None:
                continue
            dataset, _, inner = part.documents.partition("/")
            paths = [roots[dataset] / inner if inner else roots[dataset]] if dataset in roots else []
            keys = [key for key, _ in keys_of_dataset(dataset, self.steps)]
            paths += [state.output(key) / inner for state in self._states for key in keys]
            ids = {each for path in paths if self._has_rows(path) for each in self._row_ids(path, part.id)}
            found[name] = frozenset(ids)
        return found

    def _has_rows(self, path: Path) -> bool:
        return self._has_person(path) if path.is_dir() else self._look(path).found

    def _row_ids(self, path: Path, column: str | None) -> Iterator[str]:
        # They need NumPy, which only who builds indexes has for certain.
        from plimsoll.runtime.tables.chunk import cell_value
        from plimsoll.runtime.tables.table import Table

        with contextlib.suppress(PlimsollError):
            table = Table(path)
            people = [name for name in table.names if name in self.columns]
            for chunk in table.chunks(_ROWS, {*people, *([column] if column else [])}) if people else ():
                found: set[int] = set()
                for name in people:
                    values = chunk.columns[name]
                    cells = (
                        values
                        if isinstance(values, Sequence)
                        else [cell_value(values, row) for row in range(chunk.rows)]
                    )
                    # A table has many rows of few people: each value is looked at once.
                    wanted = {each for each in set(cells) if self._matcher.matches(each)}
                    if wanted:
                        found.update(row for row, each in enumerate(cells) if each in wanted)
                for row in sorted(found):
                    value = cell_value(chunk.columns[column], row) if column else chunk.first + row + 1
                    yield str(value).strip()

    def _used(self) -> dict[str, str]:
        features = self._target.features
        uses = features.require(USES)() if USES in features else ()
        return {key: use.who for use in uses for key in use.keys}

    def _verb(self, key: str) -> str:
        step = self.steps.get(key)
        return step.name.partition("/")[0] if step is not None else ""

    def _origin(self, key: str) -> str:
        step = self.steps[key]
        named = [name for kind, name, _ in step.ingredients if kind == "input"]
        return ", ".join(named) or step.name

    def _is_reference(self, key: str, local: Collection[str]) -> bool:
        """Whether the result of a step only names a file of the user's own."""
        verb, _, part = self.steps[key].name.partition("/")
        return verb == "fetch" and part in local

    def _is_declared(self, dataset: str) -> bool:
        return bool(DATASETS.of(self._file.application)[dataset].subject)

    def _notes(self) -> Iterator[str]:
        if not self._matcher.in_texts:
            yield "the id is short: it is looked for in columns of ids, and in no other text"
        for name, part in DATASETS.of(self._file.application).items():
            if part.source and not is_path(part.source):
                yield f"{part.source} of dataset {name} cannot be changed from here: erase the person there too"
        others = [state.root.name for state in self._states if state.root.parent.name == "targets"]
        if self._target.name == LOCAL and others:
            yield f"what lies on {', '.join(others)} itself was not searched: name it with --target"
