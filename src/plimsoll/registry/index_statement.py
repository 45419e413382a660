"""A signed statement about a registry's index: which index it is, and a counter that only grows.

Versions are signed one by one. Which version a tag or the bare name of a model leads to, is decided by the index alone:
whoever may write to it could lead a name to an older version. So plimsoll signs the digest of each index that it
writes, with a counter, and remembers the highest counter beside the trusted keys. A `name@version` needs none of this.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.files import replace_file
from plimsoll.signing import dsse as signing
from plimsoll.signing.keys import KeyRing

FILE = "index.dsse.json"
PREDICATE = "https://plimsoll.dev/index/v1"
_ACCEPT = (
    "name a version (triage@2), restore the registry from a copy, trust the signer, or accept the index as it is: "
    "plimsoll models --accept-index"
)


class IndexStatement:
    """The statement beside the index of a layout at `root`. Writers hold the layout's lock."""

    def __init__(self, root: Path, keys: KeyRing) -> None:
        self._index = root / "index.json"
        self._file = root / FILE
        self._keys = keys
        place = hashlib.sha256(str(root.resolve()).encode(errors="surrogateescape")).hexdigest()
        self._seen = keys.directory / "seen" / place[:32]

    def prepare(self, content: bytes) -> None:
        """Sign the index that is about to be written; the statement of the present one holds until it is.

        Raises TargetError when the disk or the key cannot be used.
        """
        counter = max(self._highest_seen(), *self._counters(), 0) + 1
        about = signing.statement({"index.json": _digest(content)}, PREDICATE, {"counter": counter})
        new = signing.sign_payload(msgspec.json.encode(about), self._keys).envelope
        present = self._index_digest()
        kept = [each for each in self._envelopes() if (signed := self._signed(each)) and signed[0] == present][-1:]
        try:
            replace_file(self._file, msgspec.json.encode([msgspec.Raw(each) for each in (*kept, new)]))
        except OSError as error:
            raise TargetError(f"cannot write to the registry: {error.strerror}", where=str(self._file)) from error

    def require(self) -> None:
        """Raise ModelRefused unless the index is the newest that was signed. One that never was is accepted."""
        seen = self._highest_seen()
        if not self._file.exists() and (not seen or self._is_empty()):
            return
        digest = self._index_digest()
        found = [signed for each in self._envelopes() if (signed := self._signed(each)) and signed[0] == digest]
        if not found:
            message = "the registry's index was changed by something else than plimsoll, or its signer is not trusted"
            raise ModelRefused(message, where=str(self._index), hint=_ACCEPT)
        counter = max(signed[1] for signed in found)
        if counter < seen:
            message = f"the registry's index is an old one: number {counter}, and number {seen} was seen here"
            raise ModelRefused(message, where=str(self._index), hint=_ACCEPT)
        if counter > seen:
            # A key ring that cannot be written remembers nothing new; what it has remembered still counts.
            with contextlib.suppress(OSError):
                self._seen.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                replace_file(self._seen, str(counter).encode())

    def _index_digest(self) -> str:
        try:
            return _digest(self._index.read_bytes())
        except OSError:
            return ""

    def _is_empty(self) -> bool:
        """Whether the registry was removed, or was never written to: no name leads anywhere then."""
        try:
            return not msgspec.json.decode(self._index.read_bytes()).get("manifests")
        except FileNotFoundError:
            return True
        except (*UNREADABLE, OSError, AttributeError):
            return False

    def _highest_seen(self) -> int:
        try:
            content = self._seen.read_bytes()[:20]
        except OSError:
            return 0
        return int(content) if content.isdigit() else 0

    def _counters(self) -> list[int]:
        return [signed[1] for each in self._envelopes() if (signed := self._signed(each))]

    def _envelopes(self) -> list[bytes]:
        try:
            return [bytes(each) for each in msgspec.json.decode(self._file.read_bytes(), type=list[msgspec.Raw])]
        except (*UNREADABLE, OSError):
            return []

    def _signed(self, envelope: bytes) -> tuple[str, int] | None:
        """Digest and counter of a statement that a trusted key has signed; `None` for any other."""
        try:
            opened = signing.open_envelope(envelope)
            opened.verify(self._keys)
            found = msgspec.json.decode(opened.payload)
            (subject,) = found["subject"]
            named = (opened.payload_type, found["_type"], found["predicateType"], subject["name"])
            if named != (signing.PAYLOAD_TYPE, signing.STATEMENT, PREDICATE, "index.json"):
                return None
            return str(subject["digest"]["sha256"]), int(found["predicate"]["counter"])
        except (signing.NotAnEnvelope, signing.WrongSignature, ModelRefused):
            return None
        except (*UNREADABLE, KeyError, ValueError, TypeError):
            return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
