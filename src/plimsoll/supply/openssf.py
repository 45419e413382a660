"""Signatures of models in the format of the OpenSSF (`model_signing` v1.0): a Sigstore bundle with a list of files.

Source: sigstore/model-transparency, docs/model_signing_format.md: an in-toto statement whose predicate lists each file
with its SHA-256; the digest of the subject is the SHA-256 over these digests in the order of the list. Signed with a
key: what is signed with certificates is refused by name. A version of a registry is signed by its digests.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import ModelRefused
from plimsoll.files import digest_of_file
from plimsoll.signing.dsse import (
    PAYLOAD_TYPE,
    STATEMENT,
    WrongSignature,
    sign_payload,
    statement,
)
from plimsoll.signing.key_files import pem_of, read_key_file
from plimsoll.signing.sigstore import decode_bundle, encode_bundle, hint_of

if TYPE_CHECKING:
    from plimsoll.signing.keys import KeyRing

PREDICATE = "https://model_signing/signature/v1.0"
MOST_BYTES = 256 << 20
IGNORED = ".plimsoll"
"""The directory of our own signature beside the files of a pulled model, which others are told to pass over."""
PASSED_OVER = (".git", ".gitattributes", ".github", ".gitignore", IGNORED)
"""What a directory may have besides the files that were signed, if the signer has said so: nothing that is loaded."""
MOST_NAMED = 5


class SignedModelFiles(Struct, frozen=True, kw_only=True):
    """What a bundle states: the name of the model, its files with their SHA-256, and the key that signed it."""

    name: str
    files: Mapping[str, str]
    signed_by: str
    ignored: tuple[str, ...] = ()


def sign_files(name: str, files: Mapping[str, str], keys: KeyRing) -> bytes:
    """A bundle about files, given by their paths in the model's directory with their SHA-256. Raises TargetError."""
    files = dict(sorted(files.items()))
    resources = [{"name": path, "algorithm": "sha256", "digest": files[path]} for path in files]
    serialization = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": [IGNORED]}
    about = statement({name: _root(files)}, PREDICATE, {"serialization": serialization, "resources": resources})
    signed = sign_payload(msgspec.json.encode(about), keys)
    return encode_bundle(signed, keys)


class _Subject(Struct, frozen=True):
    name: str
    digest: dict[str, str]


class _Resource(Struct, frozen=True):
    name: str
    algorithm: str
    digest: str


class _Serialization(Struct, frozen=True):
    method: str
    hash_type: str = ""
    ignore_paths: tuple[str, ...] = ()


class _Predicate(Struct, frozen=True):
    serialization: _Serialization
    resources: tuple[_Resource, ...]


@decodable
class _Statement(Struct, frozen=True):
    type: str = msgspec.field(name="_type")
    subject: tuple[_Subject]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: _Predicate


def open_bundle(content: bytes, keys: KeyRing) -> SignedModelFiles:
    """What a bundle states, when a trusted key has signed it. Raises ModelRefused with the reason otherwise."""
    bundle = decode_bundle(content)
    key_id = _key_of(bundle.hint, bundle.key_id, keys)
    opened = bundle.open_as(key_id)
    try:
        opened.verify(keys)
    except WrongSignature as error:
        raise ModelRefused("the signature is not by the key that it names: the bundle was altered") from error
    return _stated(opened.payload, opened.payload_type, key_id)


def _key_of(hint: str, key_id: str, keys: KeyRing) -> str:
    """The trusted key whose PEM has a digest, or that has an id. Raises ModelRefused."""
    if not hint and key_id:
        return key_id
    for path in sorted(keys.trusted.glob("*.json")):
        try:
            key = read_key_file(path).key
            if hint_of(pem_of(key)) == hint:
                return str(key.keyid)
        except ModelRefused:
            # Of a kind that has no PEM, or spoilt: the bundle is by another one.
            continue
    raise ModelRefused(
        f"the PEM of the key that signed it has the SHA-256 {hint[:16] or 'not told'}, and none such is trusted here",
        hint="if you know the signer, trust their public key: plimsoll key trust FILE",
    )


def _stated(payload: bytes, payload_type: str, key_id: str) -> SignedModelFiles:
    try:
        found = msgspec.json.decode(payload, type=_Statement)
    except UNREADABLE as error:
        raise ModelRefused(f"the signed content is not a statement about the files of a model: {error}") from error
    if (payload_type, found.type, found.predicate_type) != (PAYLOAD_TYPE, STATEMENT, PREDICATE):
        raise ModelRefused(
            f"the signed content is a statement of the type {found.predicate_type[:80]}, not {PREDICATE}"
        )
    how = found.predicate.serialization
    if (how.method, how.hash_type.lower()) != ("files", "sha256"):
        raise ModelRefused(
            f"the files are listed by {how.method[:20]} with {how.hash_type[:20]}; files with sha256 are verified here"
        )
    files: dict[str, str] = {}
    for each in found.predicate.resources:
        if not _is_name(each.name) or each.name in files:
            raise ModelRefused(f"the list has a name that no file of a model has, or has it twice: {each.name[:120]!r}")
        if each.algorithm != "sha256" or len(each.digest) != 64 or not set(each.digest) <= set("0123456789abcdef"):
            raise ModelRefused(f"the list has no SHA-256 of {each.name[:120]!r}")
        files[each.name] = each.digest
    if not files or found.subject[0].digest.get("sha256") != _root(files):
        raise ModelRefused("the list of files contradicts the digest of the model in the same statement")
    return SignedModelFiles(name=found.subject[0].name, files=files, signed_by=key_id, ignored=how.ignore_paths)


def check_files(signed: SignedModelFiles, found: Mapping[str, str], where: str) -> None:
    """Raise ModelRefused unless files, given with their SHA-256, are exactly those of a bundle."""
    problems = [f"{name} is missing" for name in sorted(signed.files.keys() - found.keys())]
    problems += [f"{name} is in no list that was signed" for name in sorted(found.keys() - signed.files.keys())]
    both = sorted(signed.files.keys() & found.keys())
    problems += [f"{name} was altered" for name in both if signed.files[name] != found[name]]
    if problems:
        more = f", and {len(problems) - MOST_NAMED} more" if len(problems) > MOST_NAMED else ""
        raise ModelRefused(
            f"these are not the files that were signed: {'; '.join(problems[:MOST_NAMED])}{more}", where=where
        )


def files_of(directory: Path, ignored: tuple[Path, ...] = ()) -> dict[str, str]:
    """The files of a directory with their SHA-256. Raises ModelRefused for links, and what is no file."""
    if not directory.is_dir() or directory.is_symlink():
        raise ModelRefused("there is no such directory of a model", where=str(directory))
    found: dict[str, str] = {}
    for path in _walk(directory, ignored):
        name = path.relative_to(directory).as_posix()
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            what = "a link" if stat.S_ISLNK(mode) else "no regular file"
            raise ModelRefused(f"{name} is {what}: only files can be held against a signature", where=str(path))
        if not _is_name(name):
            raise ModelRefused("the name of the file is not UTF-8", where=ascii(name))
        try:
            found[name] = digest_of_file(path).removeprefix("sha256:")
        except OSError as error:
            raise ModelRefused(f"the file cannot be read: {error.strerror}", where=str(path)) from error
    return found


def _walk(directory: Path, ignored: tuple[Path, ...]) -> Iterator[Path]:
    with os.scandir(directory) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        path = Path(entry.path)
        if path in ignored:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(path, ignored)
        else:
            yield path


def _is_name(name: str) -> bool:
    path = PurePosixPath(name)
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return (
        bool(name)
        and not path.is_absolute()
        and ".." not in path.parts
        and str(path) == name
        and name != "."
        and "\0" not in name
    )


def _root(files: Mapping[str, str]) -> str:
    """The digest of a model: that of the digests of its files, in the order of the list."""
    return hashlib.sha256(b"".join(bytes.fromhex(each) for each in files.values())).hexdigest()
