"""HTTP to one registry: TLS or plain, redirects, logging in, tries again. What is asked is the caller's affair.

Sources: OCI Distribution Specification 1.1; for tokens see `tokens`.
"""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx2
from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.registry.credentials import Credentials, find
from plimsoll.registry.problems import TRANSIENT, RegistryError, said
from plimsoll.registry.references import Reference

CONNECT_LIMIT = 10.0
"""Seconds to reach a registry."""
ANSWER_LIMIT = 30.0
"""Seconds of silence after which a request is given up."""
LARGEST_ANSWER = 8 << 20
"""Bytes of a manifest or a list that are taken from a registry: twice what the specification lets it refuse."""
TRIES = 5
_LOOPBACK = re.compile(r"(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])(:\d+)?")
Content = Callable[[], bytes | Iterable[bytes]]


class Access(Struct, frozen=True, kw_only=True):
    """How a registry is reached.

    `plain_http`: `None` means TLS, and for a registry on this machine whatever it speaks. `credentials`: a docker
    config.json, `None` means the usual places. `ca_file`: certificates in PEM that are trusted beside the system's.
    """

    plain_http: bool | None = None
    credentials: Path | None = None
    ca_file: Path | None = None

    @classmethod
    def of_environment(cls, reference: Reference) -> Access:
        """`PLIMSOLL_PLAIN_HTTP_REGISTRIES` (hosts, comma between), `PLIMSOLL_REGISTRY_CA` (a PEM file)."""
        plain = {name.strip() for name in os.environ.get("PLIMSOLL_PLAIN_HTTP_REGISTRIES", "").split(",")}
        ca_file = os.environ.get("PLIMSOLL_REGISTRY_CA")
        return cls(plain_http=True if reference.registry in plain else None, ca_file=Path(ca_file) if ca_file else None)


class Answer(NamedTuple):
    """An answer with all of its body. `following` is where a list goes on, empty at its end."""

    status: int
    headers: httpx2.Headers
    content: bytes
    following: str


class _Question(NamedTuple):
    method: str
    path: str
    scopes: str
    headers: dict[str, str]
    content: Content | None
    timeout: httpx2.Timeout


class Connection:
    """One registry. Can be used from several threads; `sent` and `received` count bytes of bodies."""

    def __init__(self, reference: Reference, access: Access | None = None) -> None:
        self.reference = reference
        self.access = access or Access.of_environment(reference)
        self.sent = 0
        self.received = 0
        self._lock = threading.Lock()
        self._base = ""
        self._tokens: dict[str, str] = {}
        self._credentials: Credentials | None = None
        self._client = httpx2.Client(
            verify=_trust(self.access.ca_file),
            timeout=httpx2.Timeout(ANSWER_LIMIT, connect=CONNECT_LIMIT),
            headers={"User-Agent": "plimsoll"},
        )

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def url(self, path: str) -> str:
        """The address of a path below `/v2/`, or of a Location that the registry gave."""
        base = httpx2.URL(self.base())
        found = base.join(path)
        if found.host == base.host and found.scheme == "http" and base.scheme == "https":
            # A registry behind a proxy that ends TLS may not know that it was asked over TLS.
            found = found.copy_with(scheme="https", port=base.port)
        return str(found)

    def base(self) -> str:
        """Scheme and host. A registry on this machine is asked which it speaks; any other must speak TLS."""
        with self._lock:
            if not self._base:
                plain = self.access.plain_http
                if plain is None:
                    plain = bool(_LOOPBACK.fullmatch(self.reference.host)) and not self._speaks_tls()
                self._base = f"{'http' if plain else 'https'}://{self.reference.host}"
            return self._base

    def count(self, *, sent: int = 0, received: int = 0) -> None:
        """Add to the bytes that went over the network."""
        with self._lock:
            self.sent += sent
            self.received += received

    def request(
        self,
        method: str,
        path: str,
        *,
        scopes: str,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
        tries: int = TRIES,
        accept: Iterable[int] = (),
        limit: float = ANSWER_LIMIT,
    ) -> Answer:
        """A whole answer: below 400, or with a status of `accept`. Raises RegistryError with the registry's words.

        `limit`: seconds of silence after which it is given up.
        """
        body = bytearray()
        with self.stream(
            method, path, scopes=scopes, headers=headers, content=content, tries=tries, accept=accept, limit=limit
        ) as answer:
            try:
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > LARGEST_ANSWER:
                        where = f"{method} {_without_query(path)}"
                        raise RegistryError(f"the answer has more than {LARGEST_ANSWER} bytes", where=where)
            except httpx2.HTTPError as error:
                raise self.unreachable(method, path, error) from error
            self.count(received=len(body))
            following = str(answer.links.get("next", {}).get("url") or "")
            return Answer(answer.status_code, answer.headers, bytes(body), following)

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        scopes: str,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
        tries: int = TRIES,
        accept: Iterable[int] = (),
        limit: float = ANSWER_LIMIT,
    ) -> Iterator[httpx2.Response]:
        """As `request`, with the body still to be read. Errors while it is read are the caller's to translate."""
        timeout = httpx2.Timeout(limit, connect=CONNECT_LIMIT)
        question = _Question(method, path, scopes, dict(headers or {}), content, timeout)
        answer = self._answered(question, tries, frozenset(accept))
        try:
            yield answer
        finally:
            answer.close()

    def unreachable(self, method: str, path: str, error: Exception) -> RegistryError:
        """An error of the network in our words."""
        kind = "has not answered in time" if isinstance(error, httpx2.TimeoutException) else "does not answer"
        reason = str(error) or type(error).__name__
        hint = "check the address and the network"
        if "CERTIFICATE_VERIFY_FAILED" in reason or "certificate" in reason.lower():
            hint = "its certificate is not trusted: name its authority's PEM file in PLIMSOLL_REGISTRY_CA"
        elif "SSL" in reason or "TLS" in reason:
            hint = "if it speaks plain HTTP, add it to PLIMSOLL_PLAIN_HTTP_REGISTRIES"
        where = f"{method} {_without_query(path)}"
        return RegistryError(f"the registry {self.reference.registry} {kind}: {reason}", where=where, hint=hint)

    def _answered(self, question: _Question, tries: int, accept: frozenset[int]) -> httpx2.Response:
        method, path = question.method, question.path
        logged_in = False
        attempt = 1
        while True:
            problem: RegistryError
            wait = 0.2 * 2**attempt
            try:
                answer = self._once(question)
            except httpx2.HTTPError as error:
                problem = self.unreachable(method, path, error)
                if isinstance(error, httpx2.TimeoutException):
                    # It has had its time; once more is enough.
                    attempt = max(attempt, tries - 1)
            else:
                if answer.status_code < 400 or answer.status_code in accept:
                    return answer
                with contextlib.suppress(httpx2.HTTPError):
                    answer.read()
                answer.close()
                if answer.status_code == 401 and not logged_in:
                    self._log_in(answer, question.scopes)
                    logged_in = True
                    continue
                problem = self._refused(method, path, answer)
                if answer.status_code not in TRANSIENT:
                    raise problem
                wait = max(wait, min(30.0, _seconds(answer.headers.get("Retry-After", ""))))
            if attempt >= tries:
                raise problem
            attempt += 1
            time.sleep(wait)

    def _once(self, question: _Question) -> httpx2.Response:
        method, headers = question.method, question.headers
        url = httpx2.URL(self.url(question.path))
        token = self._tokens.get(question.scopes)
        base = httpx2.URL(self.base())
        if token and (url.scheme, url.host, url.port) == (base.scheme, base.host, base.port):
            headers = {**headers, "Authorization": token}
        body = question.content() if question.content else None
        request = self._client.build_request(method, url, headers=headers, content=body, timeout=question.timeout)
        # Blobs are often redirected to a store; the library takes our token off when the host is another.
        return self._client.send(request, stream=True, follow_redirects=method in {"GET", "HEAD"})

    def _speaks_tls(self) -> bool:
        try:
            self._client.get(f"https://{self.reference.host}/v2/").close()
        except httpx2.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise self.unreachable("GET", "/v2/", error) from error
            return False
        except httpx2.HTTPError as error:
            raise self.unreachable("GET", "/v2/", error) from error
        return True

    def _log_in(self, answer: httpx2.Response, scopes: str) -> None:
        """Do what a 401 demands: a bearer token for the scopes, or name and password."""
        from plimsoll.registry.tokens import authorization

        with self._lock:
            if self._credentials is None:
                repository = self.reference.repository
                self._credentials = find(self.reference.registry, repository, self.access.credentials)
            credentials = self._credentials
        challenge = answer.headers.get("WWW-Authenticate", "")
        try:
            self._tokens[scopes] = authorization(self._client, challenge, scopes, credentials, self.reference)
        except httpx2.HTTPError as error:
            raise self.unreachable("GET", "the token service", error) from error

    def _refused(self, method: str, path: str, answer: httpx2.Response) -> RegistryError:
        status = answer.status_code
        return RegistryError(
            f"the registry refuses: {said(answer)}",
            status=status,
            where=f"{self.reference.registry}: {method} {_without_query(path)}",
            hint=_HINTS.get(status, ""),
        )


_HINTS = {
    401: "log in (docker login, skopeo login), or name the file with the credentials in REGISTRY_AUTH_FILE",
    403: "the credentials do not allow it: ask for the right to this repository",
    404: "check the repository's name and whether it was pushed",
    413: "the registry, or a proxy before it, takes no blobs of this size",
}


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "strerror", None) or error
            hint = "PLIMSOLL_REGISTRY_CA names a PEM file with certificates"
            raise TargetError(f"the authority cannot be read: {reason}", where=str(ca_file), hint=hint) from error
    return context


def _without_query(path: str) -> str:
    """Queries of upload addresses carry state and sometimes signatures: they belong into no log."""
    return path.partition("?")[0]


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() else 0.0
