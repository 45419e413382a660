"""An evidence bundle: a directory of records and verdicts, with a signed list of their digests.

`manifest.json` is an in-toto statement whose subjects are the files. `manifest.dsse.json` is the DSSE envelope round
exactly its bytes. A bundle can be judged again anywhere, without the cluster.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError
from plimsoll.files import open_regular, replace_file
from plimsoll.signing.dsse import (
    PAYLOAD_TYPE,
    NotAnEnvelope,
    WrongSignature,
    open_envelope,
    sign_payload,
    statement,
)
from plimsoll.signing.keys import KeyRing

MANIFEST, ENVELOPE = "manifest.json", "manifest.dsse.json"
PREDICATE = "https://plimsoll.dev/evidence/v1"


def seal(directory: Path, predicate: Mapping[str, object], keys: KeyRing) -> str:
    """List and sign every file of the directory. Returns the id of the key."""
    about = statement(dict(sorted(digests(directory).items())), PREDICATE, dict(predicate))
    payload = msgspec.json.format(msgspec.json.encode(about), indent=1)
    signed = sign_payload(payload, keys)
    replace_file(directory / MANIFEST, payload)
    replace_file(directory / ENVELOPE, signed.envelope)
    return signed.key_id


def digests(directory: Path) -> dict[str, str]:
    """SHA-256 of every file by its path, except the manifest and its envelope."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink():
            # The target of a link can change without the bundle: the digest is that of the link itself.
            found[name] = hashlib.sha256(b"link:" + os.fsencode(path.readlink())).hexdigest()
        elif path.is_file() and name not in (MANIFEST, ENVELOPE):
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """The result of checking a bundle's files.

    `problems` names each file that is not as it was signed. `signer` is the id of the key when the key is trusted.
    """

    problems: tuple[str, ...]
    signer: str = ""
    predicate: dict[str, object] = {}


def check_seal(directory: Path, keys: KeyRing, *, old: bool = False) -> Seal:
    """Compare every file with the signed list. Raises PlimsollError when there is no bundle.

    With `old`, the signature of a key that was retired counts, whenever it was made.
    """
    if not directory.is_dir():
        raise PlimsollError("there is no such bundle", where=str(directory))
    try:
        payload = _read(directory / MANIFEST)
        envelope = _read(directory / ENVELOPE)
    except OSError as error:
        raise PlimsollError(
            f"this is no complete evidence bundle: {error.strerror}",
            where=str(error.filename),
            hint="a check that was broken off leaves one without a signature",
        ) from error
    problems: list[str] = []
    signer = _signer(envelope, payload, keys, problems, old=old)
    try:
        found_statement = msgspec.json.decode(payload)
        listed = {each["name"]: each["digest"]["sha256"] for each in found_statement["subject"]}
        predicate = dict(found_statement["predicate"])
    except (*UNREADABLE, KeyError, TypeError, ValueError) as error:
        return Seal(problems=(*problems, f"{MANIFEST}: it is no list of files: {error!r}"))
    problems += _foreign(directory, listed)
    found = digests(directory)
    problems += [f"{name}: missing" for name in sorted(listed.keys() - found.keys())]
    problems += [f"{name}: added after the signature" for name in sorted(found.keys() - listed.keys())]
    problems += [f"{name}: altered" for name in sorted(listed.keys() & found.keys()) if listed[name] != found[name]]
    return Seal(problems=tuple(problems), signer=signer, predicate=predicate)


def _read(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read()


def _foreign(directory: Path, listed: Mapping[str, str]) -> list[str]:
    """A problem for each link, and for each directory that no signed file is in.

    What a link gives is not in the bundle, even if the link itself was signed. Raises PlimsollError for a FIFO or a
    device, which could be read for ever.
    """
    parents = {parent.as_posix() for name in listed for parent in PurePosixPath(name).parents}
    problems = []
    for path in sorted(directory.rglob("*")):
        name, mode = path.relative_to(directory).as_posix(), path.lstat().st_mode
        if stat.S_ISLNK(mode):
            problems.append(f"{name}: it is a link, and what it leads to is not signed")
        elif stat.S_ISDIR(mode):
            problems += [f"{name}/: added after the signature"] if name not in parents else []
        elif not stat.S_ISREG(mode):
            raise PlimsollError("a bundle has only files and directories", where=str(path), hint="remove this one")
    return problems


def _signer(envelope: bytes, payload: bytes, keys: KeyRing, problems: list[str], *, old: bool) -> str:
    """The id of the trusted key that signed the payload; empty, and a problem more, otherwise."""
    try:
        opened = open_envelope(envelope)
        if opened.payload != payload or opened.payload_type != PAYLOAD_TYPE:
            problems.append(f"{MANIFEST}: altered after the signature")
            return ""
        opened.verify(keys, old=old)
    except PlimsollError as error:
        problems.append(f"{ENVELOPE}: {error.message}{f' ({error.hint})' if error.hint else ''}")
        return ""
    except (NotAnEnvelope, WrongSignature):
        problems.append(f"{ENVELOPE}: the signature is not by the key that it names")
        return ""
    return opened.key_id
