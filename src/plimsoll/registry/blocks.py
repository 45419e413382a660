"""Versions in quarantine: signed records beside the index, by which a version is served by nobody again.

    registry/blocked/<model>@<number>.json      a DSSE envelope; <…>.lifted-<time>.json after it was lifted

A record names the version by the digest of its manifest and by those of its files: the same files under another name or
number are the same model. A record that cannot be read or verified blocks the version that its name says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import ModelRefused, PlimsollError, TargetError
from plimsoll.files import replace_file
from plimsoll.registry.versions import ModelVersion
from plimsoll.signing.dsse import NotAnEnvelope, WrongSignature, open_envelope, sign_payload, statement
from plimsoll.signing.keys import KeyRing

PREDICATE = "https://plimsoll.dev/quarantine/v1"
DIRECTORY = "blocked"


@decodable
class Block(Struct, frozen=True, kw_only=True):
    """Why a version is in quarantine. `files` are the digests of its files."""

    reference: str
    digest: str
    files: tuple[str, ...]
    at: datetime
    by: str
    service: str = ""
    reason: str = ""

    def blocks(self, version: ModelVersion) -> bool:
        """Whether a version is this one, or has the same files."""
        return self.digest == version.digest or (bool(self.files) and self.files == files_of(version))

    def line(self) -> str:
        """Why, by whom and since when."""
        why = f": {self.reason}" if self.reason else ""
        return f"in quarantine since {self.at:%Y-%m-%d %H:%M} UTC by {self.by}{why}"


@decodable
class _Statement(Struct, frozen=True, kw_only=True):
    predicateType: str  # noqa: N815 - the name in the format
    predicate: Block


def files_of(version: ModelVersion) -> tuple[str, ...]:
    """The digests of a version's files, in order."""
    return tuple(sorted(entry.digest for entry in version.files.values()))


class BlockedVersions:
    """The records of a registry."""

    def __init__(self, root: Path, keys: KeyRing) -> None:
        self._directory = root / DIRECTORY
        self._keys = keys

    def add(self, version: ModelVersion, *, by: str, service: str, reason: str) -> Block:
        """Put a version in quarantine. Raises TargetError when the record cannot be signed or written."""
        block = Block(
            reference=version.reference,
            digest=version.digest,
            files=files_of(version),
            at=datetime.now(UTC),
            by=by,
            service=service,
            reason=reason,
        )
        about = statement({version.reference: version.digest.removeprefix("sha256:")}, PREDICATE, block)
        path = self._path(version.reference)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            replace_file(path, sign_payload(msgspec.json.encode(about), self._keys).envelope)
        except OSError as error:
            raise TargetError(f"the quarantine cannot be recorded: {error.strerror}", where=str(path)) from error
        return block

    def lift(self, version: ModelVersion) -> Block:
        """End the quarantine of a version; its record is kept under another name. Raises PlimsollError."""
        block = self.of(version)
        if block is None:
            raise PlimsollError(f"{version.reference} is not in quarantine", where=str(self._directory))
        path = self._path(block.reference)
        try:
            path.rename(path.with_suffix(f".lifted-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.json"))
        except OSError as error:
            raise TargetError(f"the quarantine cannot be lifted: {error.strerror}", where=str(path)) from error
        return block

    def of(self, version: ModelVersion) -> Block | None:
        """The quarantine that a version is in."""
        return next((block for block in self._all() if block.blocks(version)), None)

    def require_free(self, version: ModelVersion) -> None:
        """Raise ModelRefused for a version that is in quarantine."""
        block = self.of(version)
        if block is None:
            return
        same = f", as {block.reference}, which has the same files," if block.reference != version.reference else ""
        raise ModelRefused(
            f"model {version.reference} may not be served{same}: it is {block.line()}",
            where=str(self._path(block.reference)),
            hint=f"name another version, or lift it: plimsoll quarantine --version {block.reference} --lift",
        )

    def _path(self, reference: str) -> Path:
        return self._directory / f"{reference}.json"

    def _all(self) -> Iterator[Block]:
        for path in sorted(self._directory.glob("*.json")):
            if ".lifted-" not in path.name:
                yield self._read(path)

    def _read(self, path: Path) -> Block:
        reference = path.name.removesuffix(".json")
        try:
            opened = open_envelope(path.read_bytes())
            opened.verify(self._keys)
            found = msgspec.json.decode(opened.payload, type=_Statement)
            if found.predicateType == PREDICATE and found.predicate.reference == reference:
                return found.predicate
            problem = "its record is about something else"
        except (ModelRefused, NotAnEnvelope, WrongSignature, OSError, *UNREADABLE):
            problem = "its record cannot be verified"
        return _Unverified(
            reference=reference,
            digest="",
            files=(),
            at=datetime.fromtimestamp(_changed(path), UTC),
            by="somebody",
            reason=problem,
        )


class _Unverified(Block, frozen=True, kw_only=True):
    """A record that says nothing reliable: the version of its name stays where it was put."""

    def blocks(self, version: ModelVersion) -> bool:
        return self.reference == version.reference


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def described(block: Block) -> Mapping[str, object]:
    """A quarantine for `--json`."""
    found: dict[str, object] = msgspec.to_builtins(block)
    return found
