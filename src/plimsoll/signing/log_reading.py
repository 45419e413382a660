"""A log of what was signed, verified; proofs about it for others; and heads that witnesses keep elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import FileError, ModelRefused, PlimsollError, TargetError
from plimsoll.files import open_regular, replace_file
from plimsoll.signing.dsse import open_head
from plimsoll.signing.keys import KeyRing, TrustedKeys
from plimsoll.signing.log_entries import Entry, Finding, Head, ReadLog, against_noted, judge, read_entries
from plimsoll.signing.merkle import consistency_proof, inclusion_proof, is_consistent, is_included, leaf_hash

MOST_HEADS = 100_000


class VerifiedLog(Struct, frozen=True, kw_only=True):
    """A log as it was found. `pending` are lines beyond the signed head, of a process that was killed."""

    read: ReadLog
    head: Head | None
    findings: tuple[Finding, ...] = ()
    pending: int = 0
    envelope: bytes = b""


def verify_log(keys: KeyRing) -> VerifiedLog:
    """Hold the entries of a ring's log against each other and against the signed head. Raises FileError without one."""
    log = keys.log
    if log is None or not log.exists():
        if (socket := keys.holder()) is not None:
            hint = "verify it where the key is held: its user runs plimsoll audit log --verify"
            raise FileError("the holder of the key keeps the log", where=str(socket), hint=hint)
        hint = "it begins with the first signature: of a model that is registered, or of a check"
        raise FileError("nothing was signed here yet", where=str(keys.directory / "log"), hint=hint)
    try:
        content = log.entries.read_bytes() if log.entries.exists() else b""
        kept = log.head.read_bytes() if log.head.exists() else b""
    except OSError as error:
        raise TargetError(f"the log cannot be read: {error.strerror}", where=str(error.filename)) from error
    place = str(log.entries)
    try:
        envelope = bytes(msgspec.json.decode(kept, type=_Envelope).envelope)
        head = open_head(envelope, keys)
    except (*UNREADABLE, PlimsollError) as error:
        why = (
            error.message
            if isinstance(error, PlimsollError)
            else "the signed head of the log is missing or cannot be read"
        )
        read = read_entries(content, place)
        wrong = Finding(place=str(log.head), kind="head", text=why)
        return VerifiedLog(read=read, head=None, findings=(*([read.finding] if read.finding else []), wrong))
    read = read_entries(content[: head.bytes], place)
    findings = judge(read, head, place)
    if read.torn and not findings:
        at = f"{place}:{len(read.leaves) + 1}"
        findings = [Finding(place=at, kind="cut", text="the last line that was signed is not whole")]
    pending = content[head.bytes :].count(b"\n") + (0 if content.endswith(b"\n") or not content[head.bytes :] else 1)
    return VerifiedLog(read=read, head=head, findings=tuple(findings), pending=pending, envelope=envelope)


@decodable
class _Envelope(Struct, frozen=True):
    envelope: msgspec.Raw


def noted_from(text: str) -> tuple[str, int, str]:
    """A head that was noted as LOG:SIZE:ROOT. Raises FileError."""
    log, _, rest = text.partition(":")
    size, _, root = rest.partition(":")
    if not log or not size.isdigit() or len(size) > 15 or len(root) != 64 or not set(root) <= set("0123456789abcdef"):
        hint = "give it as `plimsoll audit log --verify` printed it"
        raise FileError(f"'{text[:120]}' is no head of a log (LOG:SIZE:ROOT)", where="--expect", hint=hint)
    return log, int(size), root


class Witness:
    """A file of heads, kept where those who could rewrite the log cannot write: a line for each head that was seen."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def compare(self, read: ReadLog) -> Finding | None:
        """What is wrong with a log by the heads that were seen; None when it only grew. Raises FileError."""
        for head in self.heads():
            found = against_noted(read, head.log, head.size, head.root)
            if found is not None:
                at = f"{head.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
                return Finding(place=str(self._path), kind=found.kind, text=f"{found.text} (seen on {at})")
        return None

    def note(self, head: Head) -> bool:
        """Add a head unless it is the newest already. Raises TargetError."""
        heads = self.heads()
        if heads and (heads[-1].log, heads[-1].size) == (head.log, head.size):
            return False
        seen = msgspec.structs.replace(head, at=datetime.now(UTC))
        content = b"".join(msgspec.json.encode(each) + b"\n" for each in (*heads, seen))
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, content)
        except OSError as error:
            raise TargetError(f"the witness cannot be written: {error.strerror}", where=str(self._path)) from error
        return True

    def heads(self) -> list[Head]:
        """The heads that were seen, oldest first. Raises FileError for a file that is none of a witness."""
        try:
            with open_regular(self._path) as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise TargetError(f"the witness cannot be read: {error.strerror}", where=str(self._path)) from error
        found: list[Head] = []
        for number, line in enumerate(lines[:MOST_HEADS]):
            try:
                found.append(msgspec.json.decode(line, type=Head))
            except UNREADABLE as error:
                where = f"{self._path}:{number + 1}"
                raise FileError(
                    f"this is no head of a log: {error}", where=where, hint="restore the witness"
                ) from error
        return found


@decodable
class Proof(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """That an entry is in a log, or that a log began with another one. Whoever trusts the signer needs no log for it.

    `head` is the signed head. With `entry` it is about that entry at `index`; without, about the first `size` entries.
    """

    head: msgspec.Raw
    path: tuple[str, ...]
    entry: str = ""
    index: int = -1
    size: int = -1
    root: str = ""


def prove_entry(log: VerifiedLog, place: Path, wanted: str) -> Proof:
    """The proof for the entry with a number, or of the statement with a digest. Raises FileError when there is none."""
    index = _index_of(log.read.entries, wanted)
    if log.head is None or index >= log.head.size:
        raise FileError(
            f"there is no entry {wanted[:80]} in the log", where=str(place), hint="plimsoll audit log lists them"
        )
    leaves = log.read.leaves[: log.head.size]
    path = tuple(each.hex() for each in inclusion_proof(leaves, index))
    line = place.read_bytes().split(b"\n")[index]
    return Proof(head=msgspec.Raw(log.envelope), path=path, entry=line.decode(errors="replace"), index=index)


def _index_of(entries: Sequence[Entry], wanted: str) -> int:
    if wanted.isdigit() and len(wanted) < 16:
        return int(wanted)
    found = [each.n for each in entries if wanted and (each.statement == wanted or wanted in each.names)]
    return found[-1] if found else len(entries) + 1


def prove_growth(log: VerifiedLog, size: int) -> Proof:
    """The proof that the log began with its first entries, as a head of that size had them. Raises FileError."""
    if log.head is None or size > log.head.size:
        raise FileError(f"the log has fewer than {size} entries", where="--since")
    path = tuple(each.hex() for each in consistency_proof(log.read.leaves[: log.head.size], size))
    return Proof(head=msgspec.Raw(log.envelope), path=path, size=size, root=log.read.root_at(size))


def check_proof(content: bytes, keys: TrustedKeys, noted: tuple[str, int, str] | None = None) -> tuple[Proof, Head]:
    """A proof that holds, and the head that it stands on. Raises ModelRefused for any other.

    A proof of growth is held against a head that was noted, as otherwise it could begin with anything.
    """
    try:
        proof = msgspec.json.decode(content, type=Proof)
        path = [bytes.fromhex(each) for each in proof.path]
        root = bytes.fromhex(proof.root)
    except (*UNREADABLE, ValueError) as error:
        raise ModelRefused(f"this is no proof of a log: {error}") from error
    try:
        head = open_head(bytes(proof.head), keys)
        end = bytes.fromhex(head.root)
    except (TargetError, ValueError) as error:
        raise ModelRefused(f"the proof stands on no signed head: {error}") from error
    if proof.entry:
        if not is_included(leaf_hash(proof.entry.encode()), proof.index, head.size, end, path):
            raise ModelRefused(f"the entry {proof.index} is not in the log {head.log}")
        return proof, head
    if noted is None or noted != (head.log, proof.size, proof.root):
        raise ModelRefused("a proof of growth is held against a head that was noted earlier: --expect LOG:SIZE:ROOT")
    if not is_consistent(proof.size, head.size, (root, end), path):
        raise ModelRefused(f"the log {head.log} did not begin with the {proof.size} entries that were noted")
    return proof, head
