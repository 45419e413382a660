"""The public keys of an issuer: from a file, or fetched, with limits on what an issuer's server can do to this one.

Keys are fetched in a thread, now and then and when a token names a key that is not known; the latter at most once in
`AGAIN` seconds, so that nobody makes a server ask its issuer for each request. While the issuer does not answer, the
last keys stay for as long as the settings say. Sources: RFC 7517 (JWK), OpenID Connect Discovery 1.0.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from msgspec import Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.runtime.server.identities.settings import JwtSettings, is_safe
from plimsoll.runtime.server.identities.watched import Watched

EVERY = 300.0
"""Seconds between two fetches."""
AGAIN = 10.0
"""Seconds between two tries, whatever asks for them."""
SECONDS = 5.0
"""For one answer of the issuer."""
LARGEST = 256 << 10
"""Bytes of an answer."""
MOST_KEYS = 64
SHORTEST_RSA = 2048
"""Bits. Source: NIST SP 800-131A."""
_PLAIN = {"accept": "application/json", "accept-encoding": "identity"}
"""What is compressed would be longer than it looks: it is not unpacked."""
_BY_CURVE = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",), "Ed25519": ("EdDSA",)}
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
Document = dict[str, Any]
"""JSON of an issuer, whose values may be anything."""


class Key(Struct, frozen=True, kw_only=True):
    """A public key and the algorithms that it is for."""

    id: str
    algorithms: tuple[str, ...]
    public: Any
    """The library's own type, which is another one for each kind of key."""


def keys_in(document: object, where: str) -> tuple[Key, ...]:
    """The keys of a JWK Set that verify signatures; all others are passed over. Raises TargetError without any."""
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise TargetError("this is no set of keys: it has no list `keys`", where=where)
    if len(listed) > MOST_KEYS:
        raise TargetError(f"the set has more than {MOST_KEYS} keys", where=where)
    found = tuple(key for each in listed if isinstance(each, dict) and (key := _key(each)) is not None)
    if not found:
        raise TargetError("the set has no public key that verifies signatures", where=where)
    return found


def _key(given: Document) -> Key | None:
    # A secret (`oct`) is no public key, and a private one has no business here.
    kind, curve = given.get("kty"), given.get("crv")
    allowed = _RSA if kind == "RSA" else _BY_CURVE.get(str(curve), ()) if kind in {"EC", "OKP"} else ()
    named = given.get("alg")
    algorithms = tuple(each for each in allowed if named is None or each == named)
    operations = given.get("key_ops")
    if isinstance(operations, list) and "verify" not in operations:
        return None
    if not algorithms or given.get("use", "sig") != "sig" or "d" in given:
        return None
    try:
        public = jwt.PyJWK(given, algorithm=algorithms[0]).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    if isinstance(public, RSAPublicKey) and public.key_size < SHORTEST_RSA:
        return None
    return Key(id=str(given.get("kid", "")), algorithms=algorithms, public=public)


class IssuerKeys:
    """The present keys of an issuer. `fetch_now` gives them, or raises PlimsollError."""

    def __init__(
        self, fetch_now: Callable[[], tuple[Key, ...]], keep: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch_now = fetch_now
        self._keep = keep
        self._clock = clock
        self._tried = -AGAIN
        self._fetched: float | None = None
        self._reason = "its keys are not fetched yet"
        self._one = threading.Lock()
        self.keys: tuple[Key, ...] = ()
        self.generation = 0
        """Grows with each other set of keys: what was verified with an older one is verified again."""

    @property
    def problem(self) -> str:
        """Why nothing can be verified at present; empty when it can."""
        if self._fetched is None:
            return self._reason
        if self._clock() - self._fetched > self._keep:
            return f"the issuer has not answered for {self._keep:g} s: {self._reason}"
        return ""

    @property
    def may_be_new(self) -> bool:
        """Whether it is time to look for new keys."""
        return self._clock() - self._tried >= AGAIN

    def look(self) -> None:
        """Fetch the keys when it is time to; called in a thread."""
        since = self._clock() - self._tried
        failing = self._fetched is None or self._fetched < self._tried
        if since >= (AGAIN if failing else EVERY):
            self._try()

    async def fetch(self) -> None:
        """Fetch the keys, unless that was done just now; several who ask at once wait for one fetch."""
        await asyncio.to_thread(self._try)

    def _try(self) -> None:
        with self._one:
            if not self.may_be_new:
                return
            try:
                keys = self._fetch_now()
            except PlimsollError as error:
                self._reason = error.on_one_line()
                sys.stderr.write(f"the keys of the issuer cannot be fetched, the last ones stay: {self._reason}\n")
                self._tried = self._clock()
                return
            self._tried = self._fetched = self._clock()
            if [(key.id, key.algorithms, _numbers(key)) for key in keys] != [
                (key.id, key.algorithms, _numbers(key)) for key in self.keys
            ]:
                self.keys = keys
                self.generation += 1


def _numbers(key: Key) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    encoded: bytes = key.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


class FileKeys(IssuerKeys):
    """Keys of a file, which is read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Raises TargetError."""
        self._file = Watched(path, read_keys)
        super().__init__(lambda: self._file.content, float("inf"))
        self._try()

    @property
    def may_be_new(self) -> bool:
        """A file is looked at each second, and never for the sake of one request."""
        return self._fetched is None

    def look(self) -> None:
        """Take the keys of a file that has changed."""
        if self._file.look():
            self.keys = self._file.content
            self.generation += 1


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file. Raises TargetError."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise TargetError(f"the keys cannot be read: {error.strerror}", where=str(path)) from error
    return keys_in(_decoded(content, str(path)), str(path))


def source_of(settings: JwtSettings) -> IssuerKeys:
    """The keys of an issuer, which are fetched with the first `look`. Raises TargetError for a bad file."""
    if settings.jwks and "://" not in settings.jwks:
        return FileKeys(Path(settings.jwks))

    def fetch_now() -> tuple[Key, ...]:
        address = settings.jwks or _discovered(settings.issuer)
        return keys_in(_fetched(address), address)

    keys = IssuerKeys(fetch_now, settings.keep)
    keys.look()
    return keys


def _discovered(issuer: str) -> str:
    """Where an issuer says that its keys are. Raises TargetError."""
    address = issuer.rstrip("/") + "/.well-known/openid-configuration"
    document = _fetched(address)
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise TargetError(f"what is there is not of the issuer {issuer}", where=address)
    found = document.get("jwks_uri")
    if not isinstance(found, str) or not is_safe(found):
        raise TargetError("the issuer names no https address of its keys (jwks_uri)", where=address)
    return found


def _fetched(address: str) -> object:
    """The JSON at an address: of one answer, without redirects, within limits. Raises TargetError."""
    deadline = time.monotonic() + SECONDS
    content = bytearray()
    try:
        with httpx2.stream("GET", address, headers=_PLAIN, follow_redirects=False, timeout=SECONDS) as answer:
            if answer.status_code != 200:
                raise TargetError(f"the issuer answers with status {answer.status_code}", where=address)
            for piece in answer.iter_raw():
                content += piece
                if len(content) > LARGEST:
                    raise TargetError(f"the answer has more than {LARGEST} bytes", where=address)
                if time.monotonic() > deadline:
                    raise TargetError(f"the answer takes longer than {SECONDS:g} s", where=address)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise TargetError(f"the issuer does not answer: {type(error).__name__}", where=address) from error
    return _decoded(bytes(content), address)


def _decoded(content: bytes, where: str) -> object:
    try:
        return msgspec.json.decode(content)
    except UNREADABLE as error:
        raise TargetError("this is no JSON", where=where) from error
