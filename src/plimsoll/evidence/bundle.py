"""An evidence bundle: a directory of records and verdicts, with a signed list of their digests.

`manifest.json` is an in-toto statement whose subjects are the files; `manifest.dsse.json` is the DSSE envelope around
exactly its bytes. A bundle can be judged again wherever it is, without the cluster.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from plimsoll.errors import PlimsollError
from plimsoll.files import replace_file
from plimsoll.signing.keys import KeyRing

MANIFEST, ENVELOPE = "manifest.json", "manifest.dsse.json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://plimsoll.dev/evidence/v1"


def seal(directory: Path, predicate: Mapping[str, Any], keys: KeyRing) -> str:
    """List and sign every file of the directory. Gives the id of the key."""
    from securesystemslib.dsse import Envelope

    subjects = [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(digests(directory).items())]
    statement = {"_type": STATEMENT, "subject": subjects, "predicateType": PREDICATE, "predicate": dict(predicate)}
    payload = msgspec.json.format(msgspec.json.encode(statement), indent=1)
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    signature = envelope.sign(keys.signer())
    replace_file(directory / MANIFEST, payload)
    replace_file(directory / ENVELOPE, msgspec.json.encode(envelope.to_dict()))
    return str(signature.keyid)


def digests(directory: Path) -> dict[str, str]:
    """SHA-256 of every file but the manifest's own, by path."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink():
            # What it leads to could change without the bundle; its target is what is vouched for.
            found[name] = hashlib.sha256(b"link:" + os.fsencode(path.readlink())).hexdigest()
        elif path.is_file() and name not in (MANIFEST, ENVELOPE):
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """What checking a bundle's files gives: `problems` name each file; `signer` is the key's id when it is trusted."""

    problems: tuple[str, ...]
    signer: str = ""
    predicate: dict[str, Any] = {}


def check_seal(directory: Path, keys: KeyRing) -> Seal:
    """Compare every file with the signed list. Raises PlimsollError when there is no bundle."""
    if not directory.is_dir():
        raise PlimsollError("there is no such bundle", where=str(directory))
    try:
        payload = (directory / MANIFEST).read_bytes()
        envelope = (directory / ENVELOPE).read_bytes()
    except OSError as error:
        raise PlimsollError(
            f"this is no complete evidence bundle: {error.strerror}",
            where=str(error.filename),
            hint="a check that was broken off leaves one without a signature",
        ) from error
    problems: list[str] = []
    signer = _signer(envelope, payload, keys, problems)
    try:
        statement = msgspec.json.decode(payload)
        listed = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
        predicate = dict(statement["predicate"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        return Seal(problems=(*problems, f"{MANIFEST}: it is no list of files: {error!r}"))
    found = digests(directory)
    problems += [f"{name}: missing" for name in sorted(listed.keys() - found.keys())]
    problems += [f"{name}: added after the signature" for name in sorted(found.keys() - listed.keys())]
    problems += [f"{name}: altered" for name in sorted(listed.keys() & found.keys()) if listed[name] != found[name]]
    return Seal(problems=tuple(problems), signer=signer, predicate=predicate)


def _signer(envelope: bytes, payload: bytes, keys: KeyRing, problems: list[str]) -> str:
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import Error

    try:
        opened = Envelope.from_dict(msgspec.json.decode(envelope))
        if opened.payload != payload or opened.payload_type != PAYLOAD_TYPE:
            problems.append(f"{MANIFEST}: altered after the signature")
            return ""
        key_id = str(next(iter(opened.signatures), ""))
        opened.verify([keys.public(key_id)], 1)
    except PlimsollError as error:
        problems.append(f"{ENVELOPE}: {error.message}{f' ({error.hint})' if error.hint else ''}")
        return ""
    except (Error, msgspec.DecodeError, KeyError, ValueError, TypeError, AttributeError):
        problems.append(f"{ENVELOPE}: the signature is not by the key that it names")
        return ""
    return key_id
