"""Erases all that an application keeps by destroying the one key under which it is encrypted, and signs that.

.plimsoll/destroyed/
  <vault>.json             what is about to be destroyed; gone with the certificate
  <vault>.dsse.json        the certificate
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from plimsoll import __version__
from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.engine.encrypting import require_vault, sealed_sizes
from plimsoll.errors import FileError, ModelRefused, PlimsollError, TargetError
from plimsoll.files import replace_file
from plimsoll.signing.dsse import NotAnEnvelope, WrongSignature, open_envelope, sign_payload, statement
from plimsoll.signing.keys import KeyRing, TrustedKeys
from plimsoll.state.directory import NAME
from plimsoll.vault.use import is_vault

PREDICATE = "https://plimsoll.dev/destruction/v1"
DIRECTORY = "destroyed"


@decodable
class Destruction(Struct, frozen=True, kw_only=True):
    """What was destroyed: a vault, by its id, with so many sealed files of so many bytes.

    `header` is the SHA-256 of what had the wrapped data key, `key` the id of the key that wrapped it. A copy of that
    header opens copies of the sealed files for who has the key.
    """

    vault: str
    application: str
    key: str
    cipher: str
    header: str
    files: int
    bytes: int
    began: datetime
    ended: datetime | None = None
    tool: str = f"plimsoll {__version__}"


def to_destroy(file: Path) -> Destruction:
    """What would be destroyed. Raises FileError where nothing is encrypted, SealedDamaged."""
    from plimsoll.vault import header
    from plimsoll.vault.opening import OBJECTS

    state = file.absolute().parent / NAME
    require_vault(state)
    about = header.read(state)
    sizes = sealed_sizes(state / header.DIRECTORY / OBJECTS)
    return Destruction(
        vault=about.vault,
        application=about.application,
        key=about.key,
        cipher=about.cipher,
        header=hashlib.sha256(header.path_of(state).read_bytes()).hexdigest(),
        files=len(sizes),
        bytes=sum(sizes),
        began=datetime.now(UTC),
    )


def destroy_everything(file: Path, keys: KeyRing) -> tuple[Destruction, Path]:
    """Destroy the data key, and delete what is sealed under it; gives the certificate and its path.

    One that was interrupted is completed. Raises FileError, TargetError while something is in use, and OSError.
    """
    state = file.absolute().parent / NAME
    noted = _begun(state)
    if noted is None or is_vault(state):
        noted = to_destroy(file)
        (state / DIRECTORY).mkdir(parents=True, exist_ok=True)
        replace_file(_note(state, noted), msgspec.json.encode(noted))
        from plimsoll.vault.changing import destroy

        destroy(state)
    done = replace(noted, ended=datetime.now(UTC))
    described = msgspec.to_builtins(done)
    about = statement({f"vault/{done.vault}": done.header}, PREDICATE, described)
    path = state / DIRECTORY / f"{done.vault}.dsse.json"
    try:
        replace_file(path, sign_payload(msgspec.json.encode(about), keys).envelope)
    except OSError as error:
        hint = "everything was destroyed; the same command writes the certificate"
        raise TargetError(f"the certificate cannot be written: {error.strerror}", where=str(path), hint=hint) from error
    _note(state, done).unlink(missing_ok=True)
    return done, path


def is_of_destruction(path: Path) -> bool:
    """Whether a file is a certificate of a destruction, and not one of the erasure of a person; unchecked."""
    try:
        return str(msgspec.json.decode(open_envelope(path.read_bytes()).payload)["predicateType"]) == PREDICATE
    except (NotAnEnvelope, *UNREADABLE, OSError, KeyError, TypeError):
        return False


def verify_destruction(file: Path, path: Path, keys: TrustedKeys) -> Destruction:
    """Check the signature of a certificate, and that what it names is not here. Raises PlimsollError."""
    try:
        opened = open_envelope(path.read_bytes())
        opened.verify(keys)
        described = msgspec.json.decode(opened.payload)["predicate"]
        done = msgspec.convert(described, Destruction)
    except OSError as error:
        raise FileError(f"the certificate cannot be read: {error.strerror}", where=str(path)) from error
    except ModelRefused as error:
        raise PlimsollError(f"the certificate is refused: {error.message}", where=str(path), hint=error.hint) from error
    except (NotAnEnvelope, WrongSignature, *UNREADABLE, KeyError, TypeError, ValueError) as error:
        text = "this is no certificate of a destruction, or it was altered"
        raise PlimsollError(text, where=str(path), hint="name the file as it was written, or another copy") from error
    state = file.absolute().parent / NAME
    if is_vault(state):
        from plimsoll.vault import header

        if header.read(state).vault == done.vault:
            text = "what the certificate calls destroyed is here again"
            raise PlimsollError(
                text, where=str(state), hint="somebody has restored a copy: plimsoll erase --everything"
            )
    return done


def _note(state: Path, noted: Destruction) -> Path:
    return state / DIRECTORY / f"{noted.vault}.json"


def _begun(state: Path) -> Destruction | None:
    for path in sorted((state / DIRECTORY).glob("*.json")):
        if not path.name.endswith(".dsse.json"):
            try:
                return msgspec.json.decode(path.read_bytes(), type=Destruction)
            except (*UNREADABLE, OSError):
                continue
    return None
