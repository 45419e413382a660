"""What an erasure leaves: a signed statement of what was done, which says nothing of the person.

.plimsoll/erasures/
  key                     the key of the digests of ids; without it nobody can tell whose an erasure was
  <erasure>/journal.jsonl what was to be done and what was, so that a killed erasure goes on
  <erasure>/certificate.dsse.json
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.audit.chain import Link
from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import FileError, ModelRefused, PlimsollError, TargetError
from plimsoll.files import flush, replace_file
from plimsoll.signing.dsse import NotAnEnvelope, WrongSignature, open_envelope, sign_payload, statement
from plimsoll.signing.keys import KeyRing, TrustedKeys
from plimsoll.state.directory import StateDirectory

PREDICATE = "https://plimsoll.dev/erasure/v1"
CERTIFICATE, JOURNAL, KEY = "certificate.dsse.json", "journal.jsonl", "key"
_KEY_BYTES = 32


class Done(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was done in one place. `before` is a keyed digest, `after` the SHA-256 of what is there now."""

    place: str
    name: str
    what: str
    how: str
    why: str = ""
    before: str = ""
    after: str = ""
    lines: tuple[str, ...] = ()


class Trained(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version that was trained on rows of the person, which the next plan trains anew."""

    version: str
    digest: str
    certain: bool = True
    used_by: str = ""


@decodable
class Certificate(Struct, frozen=True, kw_only=True):
    """An erasure. `subject` is the keyed digest of the id, `key` tells which key. `complete`: nothing stayed."""

    erasure: str
    application: str
    target: str
    began: datetime
    ended: datetime
    subject: str
    key: str
    columns: tuple[str, ...]
    sources: bool
    in_texts: bool
    complete: bool
    tool: str
    done: tuple[Done, ...] = ()
    models: tuple[Trained, ...] = ()
    stays: tuple[Done, ...] = ()
    unsearched: tuple[str, ...] = ()


def erasures_of(state: StateDirectory) -> Path:
    """The directory of the erasures of an application."""
    return state.registry.parent / "erasures"


def key_of(state: StateDirectory, *, make: bool = False) -> bytes:
    """The key of the digests of ids. Raises TargetError without one, unless it is made."""
    path = erasures_of(state) / KEY
    try:
        if make and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(os.urandom(_KEY_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
                flush(path.parent)
        content = path.read_bytes()
    except OSError as error:
        hint = "without it nobody can tell whose an erasure was: restore it, or name the person with --subject"
        text = f"the key of the digests cannot be read: {error.strerror}"
        raise TargetError(text, where=str(path), hint=hint) from error
    if len(content) != _KEY_BYTES:
        text, hint = "the key of the digests is not whole", "remove it, and a new one is made; old certificates need it"
        raise TargetError(text, where=str(path), hint=hint)
    return content


def key_id(key: bytes) -> str:
    """A name of a key that does not give it away."""
    return hashlib.sha256(b"plimsoll erasure key\n" + key).hexdigest()[:32]


def write_certificate(directory: Path, certificate: Certificate, keys: KeyRing) -> Path:
    """Sign what was done. Raises TargetError."""
    described = msgspec.to_builtins(certificate)
    about = statement({f"erasure/{certificate.erasure}": _digest(described)}, PREDICATE, described)
    path = directory / CERTIFICATE
    try:
        replace_file(path, sign_payload(msgspec.json.encode(about), keys).envelope)
    except OSError as error:
        raise TargetError(f"the certificate cannot be written: {error.strerror}", where=str(path)) from error
    return path


def read_certificate(path: Path, keys: TrustedKeys) -> Certificate:
    """The certificate in a file, or in the directory of an erasure. Raises PlimsollError for one that was altered."""
    path = path / CERTIFICATE if path.is_dir() else path
    try:
        content = path.read_bytes()
    except OSError as error:
        hint = "name the file certificate.dsse.json of an erasure"
        raise FileError(f"the certificate cannot be read: {error.strerror}", where=str(path), hint=hint) from error
    try:
        opened = open_envelope(content)
        opened.verify(keys)
        about = msgspec.json.decode(opened.payload)
        described = about["predicate"]
        certificate = msgspec.convert(described, Certificate)
        expected = statement({f"erasure/{certificate.erasure}": _digest(described)}, PREDICATE, described)
    except ModelRefused as error:
        raise PlimsollError(f"the certificate is refused: {error.message}", where=str(path), hint=error.hint) from error
    except (NotAnEnvelope, WrongSignature, *UNREADABLE, KeyError, TypeError, ValueError) as error:
        text = "this is no certificate of an erasure, or it was altered"
        raise PlimsollError(text, where=str(path), hint="name the file as it was written, or another copy") from error
    if about != expected:
        raise PlimsollError("this is a statement of another kind", where=str(path), hint="name a certificate of erase")
    return certificate


def erased_lines(state: StateDirectory, keys: TrustedKeys) -> list[Link]:
    """The lines of audit logs whose content was erased, by the certificates that can be trusted."""
    found = []
    for path in sorted(erasures_of(state).glob(f"*/{CERTIFICATE}")):
        with contextlib.suppress(PlimsollError):
            for done in read_certificate(path, keys).done:
                found += [link for line in done.lines if (link := link_of(line)) is not None]
    return found


def written(link: Link) -> str:
    """A line of an audit log as `audit verify` writes it."""
    return f"{link.chain}:{link.number}:{link.digest}"


def link_of(line: str) -> Link | None:
    """The line of a log from what `written` gives; None for what is none."""
    chain, _, rest = line.partition(":")
    number, _, digest = rest.partition(":")
    return Link(chain=chain, number=int(number), digest=digest) if number.isdigit() else None


class ErasureJournal:
    """What one erasure was to do and has done: a line for each, on the disk before the next begins."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / JOURNAL

    @property
    def erasure(self) -> str:
        """The name of the erasure."""
        return self.directory.name

    def begin(self, subject: str, at: datetime) -> None:
        """Raises OSError."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._append({"subject": subject, "began": at})
        flush(self.directory.parent)

    def doing(self, done: Done) -> None:
        """Record what is about to be done. Raises OSError."""
        self._append({"doing": done})

    def finished(self, done: Done) -> None:
        """Record what was done. Raises OSError."""
        self._append({"done": done})

    def read(self) -> tuple[str, datetime | None, list[Done]]:
        """The subject, the begin, and what was done, or begun and perhaps done."""
        subject, began = "", None
        done: dict[tuple[str, str], Done] = {}
        for line in self._lines():
            subject, began = line.subject or subject, line.began or began
            if line.doing is not None:
                done.setdefault((line.doing.place, line.doing.name), line.doing)
            if line.done is not None:
                done[line.done.place, line.done.name] = line.done
        return subject, began, list(done.values())

    def _lines(self) -> Iterator[_Line]:
        decoder = msgspec.json.Decoder(_Line)
        try:
            lines = self.path.read_bytes().split(b"\n")
        except OSError:
            return
        for line in lines:
            with contextlib.suppress(*UNREADABLE):
                yield decoder.decode(line)

    def _append(self, value: object) -> None:
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(value) + b"\n")
            file.flush()
            os.fsync(file.fileno())


@decodable
class _Line(Struct, frozen=True, kw_only=True):
    subject: str = ""
    began: datetime | None = None
    doing: Done | None = None
    done: Done | None = None


def unfinished(state: StateDirectory, subject: str) -> ErasureJournal | None:
    """The erasure of the same person that was killed, if there is one."""
    for path in sorted(erasures_of(state).glob(f"*/{JOURNAL}")):
        journal = ErasureJournal(path.parent)
        if not (path.parent / CERTIFICATE).exists() and journal.read()[0] == subject:
            return journal
    return None


def _digest(described: object) -> str:
    return hashlib.sha256(msgspec.json.encode(described, order="sorted")).hexdigest()
