"""`plimsoll erase`: finds a person on this machine, removes what is found, searches again, and signs what was done.

A run that begins waits for it, as for `clean`. What was done is in a journal before it is done: an erasure that was
killed goes on where it was when it is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from msgspec import Struct

from plimsoll import __version__
from plimsoll.application.loading import ApplicationFile
from plimsoll.engine.cleaning.kept import states_beside
from plimsoll.engine.cleaning.removals import dangling_links
from plimsoll.engine.erasing.acts import Acts
from plimsoll.engine.erasing.certificate import (
    Certificate,
    Done,
    ErasureJournal,
    Trained,
    erasures_of,
    key_id,
    key_of,
    unfinished,
    write_certificate,
)
from plimsoll.engine.erasing.finding import SOURCE, Finding, Found, TrainedOn
from plimsoll.engine.erasing.marks import Mark, add_marks
from plimsoll.engine.erasing.search import Search
from plimsoll.errors import FileError, PlimsollError, TargetError
from plimsoll.signing.keys import KeyRing
from plimsoll.state.beginning import none_beginning
from plimsoll.state.lock import require_free
from plimsoll.subjects.identity import LONGEST, Subject
from plimsoll.subjects.texts import text_masked
from plimsoll.targets.port import Target

_ORDER = ("hidden", "struck out", "rewritten", "removed")


class Erased(Struct, frozen=True, kw_only=True):
    """What was done, what stays, and the certificate."""

    certificate: Certificate
    path: Path
    found: Found


def subject_of(text: str) -> Subject:
    """The person of an id. Raises FileError for what is none."""
    if not text.strip():
        raise FileError("the id is empty", where="--subject", hint="give the id as the column of the dataset has it")
    if len(text) > LONGEST:
        hint = f"an id has at most {LONGEST} characters"
        raise FileError(f"the id has {len(text)} characters", where="--subject", hint=hint)
    return Subject(text)


class Erasing:
    """The erasure of one person from one application, on this machine."""

    def __init__(self, file: ApplicationFile, target: Target, subject: Subject, *, sources: bool = False) -> None:
        """Raises FileError for a file that does not say whose its rows are."""
        self._file, self._target, self._subject, self._sources = file, target, subject, sources
        self._states = [target.state, *states_beside(target.state)]
        self._search = Search(file, target, subject, sources=sources)

    def find(self) -> Found:
        """What there is of the person at this moment. Nothing is written."""
        return self._search.find()

    def carry_out(self, listener: Callable[[Done], None] = lambda _: None) -> Erased:
        """Remove it; `listener` is told of each place that is done.

        Raises TargetError while a run or a clean goes on, and when the disk does not take what is to be recorded.
        """
        state = self._target.state
        try:
            with none_beginning(state.gate):
                for each in self._states:
                    require_free(each.lock)
                return self._erase(listener)
        except OSError as error:
            raise TargetError(
                f"cannot be erased: {error.strerror or error}",
                where=str(error.filename or state.root),
                hint="make it writable, and run the same command again: it goes on where it was",
            ) from error

    def _erase(self, listener: Callable[[Done], None]) -> Erased:
        # Before anything goes: what was done has to be signed.
        KeyRing.default().require_usable()
        key = key_of(self._target.state, make=True)
        journal = self._journal(self._subject.digest(key))
        _, began, before = journal.read()
        found = self.find()
        self._mark(found.models, journal.erasure, began or datetime.now(UTC))
        acts = self._acts(journal, key)
        done = {(each.place, each.name): each for each in before}
        failed: dict[str, str] = {}
        for finding in _in_order(found.findings):
            about = acts.described(finding)
            journal.doing(about)
            try:
                result = acts.carry_out(finding)
            except (PlimsollError, OSError) as error:
                failed[finding.name] = error.on_one_line() if isinstance(error, PlimsollError) else str(error.strerror)
                done.pop((about.place, about.name), None)
                continue
            journal.finished(result)
            done[result.place, result.name] = result
            listener(result)
        for state in self._states:
            for link in dangling_links(state):
                link.unlink(missing_ok=True)
        left = self.find()
        stays = [self._staying(acts, finding, failed) for finding in left.findings]
        for each in stays:
            done.pop((each.place, each.name), None)
        certificate = self._certificate(journal, key, began or datetime.now(UTC), found, left, [*done.values()], stays)
        path = write_certificate(journal.directory, certificate, KeyRing.default())
        return Erased(certificate=certificate, path=path, found=left)

    def _journal(self, subject: str) -> ErasureJournal:
        before = unfinished(self._target.state, subject)
        if before is not None:
            return before
        now = datetime.now(UTC)
        journal = ErasureJournal(erasures_of(self._target.state) / f"{now:%Y%m%dT%H%M%S}-{token_hex(4)}")
        journal.begin(subject, now)
        return journal

    def _acts(self, journal: ErasureJournal, key: bytes) -> Acts:
        search = self._search
        return Acts(
            self._subject,
            search.columns,
            self._states,
            search.versions,
            search.steps,
            self._target,
            key=key,
            erasure=journal.erasure,
        )

    def _mark(self, models: tuple[TrainedOn, ...], erasure: str, at: datetime) -> None:
        trained = [each for each in models if each.certain]
        mark = Mark(erasure=erasure, at=at)
        keys = [*(each.key for each in trained), *self._search.trainings]
        add_marks(self._target.state, keys, (each.digest for each in trained), mark)

    def _staying(self, acts: Acts, finding: Finding, failed: dict[str, str]) -> Done:
        about = acts.described(finding)
        why = text_masked(failed.get(finding.name, finding.why), self._subject)
        return Done(place=about.place, name=about.name, what=about.what, how="kept", why=why)

    def _certificate(
        self, journal: ErasureJournal, key: bytes, began: datetime, found: Found, left: Found, done: list[Done],
        stays: list[Done],
    ) -> Certificate:  # fmt: skip
        return Certificate(
            erasure=journal.erasure,
            application=self._file.application.name,
            target=self._target.name,
            began=began,
            ended=datetime.now(UTC),
            subject=self._subject.digest(key),
            key=key_id(key),
            columns=tuple(sorted(self._search.columns)),
            sources=self._sources,
            in_texts=self._subject.in_texts,
            complete=not stays and not left.unsearched,
            tool=f"plimsoll {__version__}",
            done=tuple(each for each in done if each.how != "kept"),
            models=tuple(
                Trained(version=each.version, digest=each.digest, certain=each.certain, used_by=each.used_by)
                for each in found.models
            ),
            stays=tuple(stays),
            unsearched=tuple(text_masked(each, self._subject) for each in left.unsearched),
        )


def _in_order(findings: tuple[Finding, ...]) -> Iterator[Finding]:
    """Live indexes first, sources last: what is found by them is found again after a kill."""
    doable = [each for each in findings if each.how != "kept"]
    yield from sorted(doable, key=lambda each: (each.place == SOURCE, _ORDER.index(each.how)))
