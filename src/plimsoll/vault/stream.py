"""Files encrypted in chunks that are authenticated one by one: AES-256-GCM in the STREAM construction.

    b"PLIMSEAL"  1 byte: version  16 bytes: salt  then chunks of 1 MiB and a tag of 16 bytes; the last may be shorter

Each file has a key of its own, by HKDF-SHA256 from the data key and the salt. The nonce of a chunk is its number and
whether it is the last; the header and the name of the file are authenticated with each chunk. A chunk that is changed,
moved, left out or taken from another file does not decrypt, nor does a file that was cut or has another one's place.
STREAM: Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance".
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from plimsoll.vault.problems import RESTORE, SealedDamaged

MAGIC = b"PLIMSEAL\x01"
CHUNK = 1 << 20
_SALT, _TAG = 16, 16
HEADER = len(MAGIC) + _SALT
KEY_BYTES = 32


def derived(key: bytes, purpose: bytes, salt: bytes | None = None) -> bytes:
    """A key of 32 bytes for one purpose, by HKDF-SHA256."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=purpose).derive(key)


def seal_stream(plain: BinaryIO, sealed: BinaryIO, key: bytes, name: bytes) -> int:
    """Encrypt all that `plain` has from here on under the name that the file will have; returns its bytes.

    Raises OSError.
    """
    salt = os.urandom(_SALT)
    header = MAGIC + salt
    cipher = AESGCM(derived(key, b"plimsoll file", salt))
    sealed.write(header)
    total = number = 0
    chunk = plain.read(CHUNK)
    while True:
        following = plain.read(CHUNK) if len(chunk) == CHUNK else b""
        sealed.write(cipher.encrypt(_nonce(number, last=not following), chunk, header + name))
        total += len(chunk)
        if not following:
            return total
        chunk, number = following, number + 1


def open_stream(sealed: BinaryIO, key: bytes, name: bytes, where: str) -> Iterator[bytes]:
    """Decrypt a file, chunk by chunk. Raises SealedDamaged, which names `where`, and OSError.

    Chunks are given before the last one was looked at: what is made of them counts only when this ends.
    """
    header = sealed.read(HEADER)
    if len(header) < HEADER or not header.startswith(MAGIC):
        message = "the sealed file is empty" if not header else "this is no sealed file, or one of another version"
        raise SealedDamaged(message, where=where, hint=RESTORE)
    cipher = AESGCM(derived(key, b"plimsoll file", header[len(MAGIC) :]))
    number = 0
    chunk = sealed.read(CHUNK + _TAG)
    while True:
        following = sealed.read(CHUNK + _TAG) if len(chunk) == CHUNK + _TAG else b""
        last = not following
        try:
            yield cipher.decrypt(_nonce(number, last=last), chunk, header + name)
        except (InvalidTag, ValueError) as error:
            raise _damage(cipher, number, chunk, header + name, where, last=last) from error
        if last:
            return
        chunk, number = following, number + 1


def _damage(cipher: AESGCM, number: int, chunk: bytes, beside: bytes, where: str, *, last: bool) -> SealedDamaged:
    """Why a chunk does not decrypt: a whole one that says that others follow was the last of what is left."""
    if last and (len(chunk) < _TAG or _decrypts(cipher, _nonce(number, last=False), chunk, beside)):
        message = f"the sealed file was cut off: it ends after part {number + 1}, which is not its last"
    elif not last and _decrypts(cipher, _nonce(number, last=True), chunk, beside):
        message = f"the sealed file goes on after its last part, which is part {number + 1}"
    else:
        message = f"part {number + 1} of the sealed file was changed, cut or swapped for another one"
    return SealedDamaged(message, where=where, hint=RESTORE)


def _decrypts(cipher: AESGCM, nonce: bytes, chunk: bytes, beside: bytes) -> bool:
    try:
        cipher.decrypt(nonce, chunk, beside)
    except (InvalidTag, ValueError):
        return False
    return True


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
