"""What is done to one place. Each act leaves the place as it was or without the person, and may be repeated."""

from __future__ import annotations

import hashlib
import hmac
import mmap
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from msgspec.structs import replace

from plimsoll.engine.erasing.audit_logs import erase_lines
from plimsoll.engine.erasing.certificate import Done, written
from plimsoll.engine.erasing.finding import AUDIT, CLUSTER, INDEX, REGISTRY, Finding
from plimsoll.engine.erasing.versions import Versions, forget, hide
from plimsoll.errors import PlimsollError
from plimsoll.evidence.run_events import PlannedStep
from plimsoll.files import digest_of_file
from plimsoll.kinds.index_release import ReleaseIndex
from plimsoll.kinds.register import Register, RegisterResult
from plimsoll.locks import locked_file
from plimsoll.state.directory import StateDirectory
from plimsoll.state.removing import remove_whole
from plimsoll.subjects.identity import Matcher
from plimsoll.subjects.rewriting import remove_rows
from plimsoll.subjects.texts import places, struck_out, text_masked
from plimsoll.targets.features import ROWS
from plimsoll.targets.port import Target

LOCK_LIMIT = 30.0


class Acts:
    """Carries findings out. Raises PlimsollError and OSError: the place is as it was then."""

    def __init__(
        self,
        matcher: Matcher,
        columns: Collection[str],
        states: Iterable[StateDirectory],
        versions: Versions,
        steps: Mapping[str, PlannedStep],
        target: Target,
        *,
        key: bytes,
        erasure: str,
    ) -> None:
        self._matcher, self._columns, self._versions = matcher, columns, versions
        self._states, self._steps, self._target = list(states), steps, target
        self._key, self._erasure = key, erasure

    def described(self, finding: Finding) -> Done:
        """What is about to be done, as it is recorded: without the id, also where a file is named by it."""
        path = Path(finding.path)
        return Done(
            place=finding.place,
            name=text_masked(finding.name, self._matcher),
            what=finding.what,
            how=finding.how,
            why=text_masked(finding.why, self._matcher),
            before=self._keyed(path) if finding.path and path.is_file() else "",
        )

    def carry_out(self, finding: Finding) -> Done:
        """Do it."""
        done = self.described(finding)
        if finding.place in {INDEX, REGISTRY} and finding.how == "removed" and finding.ids:
            self._delete_version(finding.ids[0])
            return done
        if finding.place == REGISTRY:
            self._versions.sweep()
            return done
        if finding.place == CLUSTER:
            self._target.features.require(ROWS).remove(finding.ids, lambda _: None)
            return done
        if finding.how == "hidden":
            hide(Path(finding.path), finding.ids)
            return done
        if finding.place == INDEX and finding.how == "rewritten":
            forget(Path(finding.path), finding.ids)
            return done
        path = Path(finding.path)
        lines: tuple[str, ...] = ()
        if finding.how == "removed":
            remove_whole(path, self._states[0].removed)
        elif finding.place == AUDIT:
            lines = tuple(map(written, erase_lines(path, self._matcher, self._columns, self._erasure)))
        elif finding.how == "rewritten":
            remove_rows(path, self._matcher, self._columns)
        else:
            strike_out(path, self._matcher)
        return replace(done, after=digest_of_file(path) if path.is_file() else "", lines=lines)

    def _delete_version(self, reference: str) -> None:
        version = self._versions.registry.find(reference)
        self._versions.delete(reference)
        # A step whose version is gone has no result: the next run registers again what it makes.
        for state in self._states:
            for key, step in self._steps.items():
                if step.name.partition("/")[0] not in {Register.verb, ReleaseIndex.verb}:
                    continue
                result = state.result(key, RegisterResult)
                if result is not None and result.digest == version.digest:
                    remove_whole(state.results / key, self._states[0].removed)

    def _keyed(self, path: Path) -> str:
        """A digest of a content with the person in it: without the key, nobody can try ids on it."""
        return hmac.new(self._key, digest_of_file(path).encode(), hashlib.sha256).hexdigest()


def strike_out(path: Path, matcher: Matcher) -> int:
    """Make the id unreadable in a text, in place: whoever writes to the file meanwhile goes on. Raises PlimsollError.

    Nothing changes its place, so that a kill leaves a text of which some is struck out.
    """
    count = 0
    with locked_file(path, limit=LOCK_LIMIT) as locked:
        if not locked:
            text = f"others have kept the file locked for {LOCK_LIMIT:g} s"
            raise PlimsollError(text, where=str(path), hint="try again")
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            if size:
                with mmap.mmap(descriptor, size) as content:
                    for begin, end in list(places(content, matcher)):
                        content[begin:end] = struck_out(content, begin, end)
                        count += 1
                    content.flush()
        finally:
            os.close(descriptor)
    return count
