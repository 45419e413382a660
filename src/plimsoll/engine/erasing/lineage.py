"""What was made of what: from the datasets that have a person to all results that could have them too.

Results are known by the journals of the runs. A result that was made of a source as it was before cannot be told from
one with the person, because that source is not there any more: it is only a cache, and goes too.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from plimsoll.application.digests import Digests, files_below
from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import read_journal
from plimsoll.evidence.run_events import PlannedStep, RunPlanned, StepsAdded, event_of
from plimsoll.kinds.dataset import DATASETS, Fetch, RunCommand, is_path
from plimsoll.kinds.environment import MakeEnvironment
from plimsoll.kinds.failover import FailOver, Standby
from plimsoll.kinds.index_release import ReleaseIndex
from plimsoll.kinds.register import Register
from plimsoll.kinds.serve import Serve
from plimsoll.state.directory import StateDirectory

WITHOUT_ROWS = frozenset(
    {MakeEnvironment.verb, Register.verb, ReleaseIndex.verb, Serve.verb, Standby.verb, FailOver.verb, "bring", "llm"}
)
"""Verbs whose results name versions, addresses or environments, and have no rows of anybody."""


class LocalSource(Struct, frozen=True, kw_only=True):
    """A source of this machine: its dataset, where the file names it, its files, and its digest as it is now."""

    dataset: str
    where: str
    root: Path
    files: tuple[Path, ...]
    digest: str


def subject_columns(file: ApplicationFile) -> frozenset[str]:
    """The columns that say whose a row is, of all datasets."""
    return frozenset(part.subject for part in DATASETS.of(file.application).values() if part.subject)


def local_sources(file: ApplicationFile, state: StateDirectory) -> tuple[LocalSource, ...]:
    """The sources that are files of this machine. Raises PlimsollError for one that cannot be read."""
    found, digests = [], Digests(state.digests)
    for name, part in DATASETS.of(file.application).items():
        if part.source is None or not is_path(part.source):
            continue
        root = (file.directory / part.source).resolve()
        try:
            files = tuple(path for path in files_below(root) if path.is_file()) if root.is_dir() else (root,)
            digest = digests.of(root)
        except OSError as error:
            where = file.where(*DATASETS.place(name), "source")
            raise PlimsollError(f"the source cannot be read: {error.strerror or error}", where=where) from error
        where = file.where(*DATASETS.place(name), "source")
        found.append(LocalSource(dataset=name, where=where, root=root, files=files, digest=digest))
    digests.save()
    return tuple(found)


def known_steps(states: Iterable[StateDirectory]) -> dict[str, PlannedStep]:
    """Every step that a run has planned, by its key. A journal that cannot be read says nothing."""
    steps: dict[str, PlannedStep] = {}
    for state in states:
        for run in state.run_ids():
            with contextlib.suppress(PlimsollError):
                for event in map(event_of, read_journal(state.journal(run))):
                    if isinstance(event, RunPlanned | StepsAdded):
                        steps |= {step.key: step for step in event.steps}
    return steps


def keys_of_dataset(name: str, steps: Mapping[str, PlannedStep]) -> Iterator[tuple[str, PlannedStep]]:
    """The steps that fetched or made a dataset, whenever."""
    names = {f"{Fetch.verb}/{name}", f"{RunCommand.verb}/{name}"}
    yield from ((key, step) for key, step in steps.items() if step.name in names)


def content_of(step: PlannedStep) -> str:
    """The digest of what a step fetched."""
    return next((digest for kind, _, digest in step.ingredients if kind == "input"), "")


def made_of(roots: Collection[str], steps: Mapping[str, PlannedStep]) -> frozenset[str]:
    """These keys, and those of all steps that were given their results, through whatever is between."""
    users: dict[str, list[str]] = defaultdict(list)
    for key, step in steps.items():
        for kind, _, digest in step.ingredients:
            if kind == "input":
                users[digest].append(key)
    found, waiting = set(roots), list(roots)
    while waiting:
        for key in users[waiting.pop()]:
            if key not in found:
                found.add(key)
                waiting.append(key)
    return frozenset(found)
