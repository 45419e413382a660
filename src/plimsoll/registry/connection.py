"""HTTP to one registry: TLS or plain HTTP, redirects, login and retries. The caller chooses the requests.

Sources: OCI Distribution Specification 1.1; `tokens` has the sources for tokens.
"""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import httpx2
from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.registry.bounds import TooMany, read_body, read_error, within
from plimsoll.registry.credentials import Credentials, find_credentials
from plimsoll.registry.problems import TRANSIENT, RegistryError, error_summary
from plimsoll.registry.references import Reference

CONNECT_LIMIT = 10.0
"""Seconds to connect to a registry."""
RESPONSE_LIMIT = 30.0
"""Seconds without a byte after which a request fails."""
HEAD_LIMIT = 60.0
"""Seconds until a response begins, beyond those without a byte: names, handshakes and the response's head."""
SLOWEST_UPLOAD = 20e3
"""Bytes per second that an upload sends at least."""
MAX_REDIRECTS = 5
MAX_RESPONSE_BYTES = 8 << 20
"""Largest manifest or list in bytes: twice the size that the specification requires a registry to accept."""
TRIES = 5
_LOOPBACK = re.compile(r"(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])(:\d+)?")
BodyFactory = Callable[[], bytes | Iterable[bytes]]


class RegistryAccess(Struct, frozen=True, kw_only=True):
    """How to connect to a registry.

    `plain_http`: `None` means TLS; a registry on this machine is probed for TLS first. `credentials`: a Docker
    config.json; `None` means the usual places. `ca_file`: PEM certificates to trust in addition to the system's.
    """

    plain_http: bool | None = None
    credentials: Path | None = None
    ca_file: Path | None = None

    @classmethod
    def of_environment(cls, reference: Reference) -> RegistryAccess:
        """Read `PLIMSOLL_PLAIN_HTTP_REGISTRIES` (hosts separated by commas) and `PLIMSOLL_REGISTRY_CA` (a PEM file)."""
        plain = {name.strip() for name in os.environ.get("PLIMSOLL_PLAIN_HTTP_REGISTRIES", "").split(",")}
        ca_file = os.environ.get("PLIMSOLL_REGISTRY_CA")
        return cls(plain_http=True if reference.registry in plain else None, ca_file=Path(ca_file) if ca_file else None)


class RegistryResponse(NamedTuple):
    """A response with its whole body. `following` is the URL of the next page of a list, empty on the last page."""

    status: int
    headers: httpx2.Headers
    content: bytes
    following: str


class _Request(NamedTuple):
    method: str
    path: str
    scopes: str
    headers: dict[str, str]
    content: BodyFactory | None
    timeout: httpx2.Timeout


class RegistryConnection:
    """A connection to one registry, safe for several threads. `sent` and `received` count the bytes of bodies."""

    def __init__(self, reference: Reference, access: RegistryAccess | None = None) -> None:
        self.reference = reference
        self.access = access or RegistryAccess.of_environment(reference)
        self.sent = 0
        self.received = 0
        self._lock = threading.Lock()
        self._base = ""
        self._tokens: dict[str, str] = {}
        self._credentials: Credentials | None = None
        self._client = httpx2.Client(
            verify=_ssl_context(self.access.ca_file),
            timeout=httpx2.Timeout(RESPONSE_LIMIT, connect=CONNECT_LIMIT),
            # Bodies are counted as they arrive; a compressed one could become any number of bytes.
            headers={"User-Agent": "plimsoll", "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def url(self, path: str) -> str:
        """The URL of a path below `/v2/`, or of a Location header of the registry."""
        base = httpx2.URL(self.base_url())
        try:
            found = base.join(path)
        except (httpx2.InvalidURL, ValueError):
            where = f"{self.reference.registry}: {_without_query(path)[:200]}"
            raise RegistryError("the registry names a place that is no URL", where=where) from None
        if found.host == base.host and found.scheme == "http" and base.scheme == "https":
            # A registry behind a TLS-terminating proxy may not know that the client uses TLS.
            found = found.copy_with(scheme="https", port=base.port)
        return str(found)

    def base_url(self) -> str:
        """Scheme and host. A registry on this machine is probed for TLS; any other must use TLS."""
        with self._lock:
            if not self._base:
                plain = self.access.plain_http
                if plain is None:
                    plain = bool(_LOOPBACK.fullmatch(self.reference.host)) and not self._speaks_tls()
                self._base = f"{'http' if plain else 'https'}://{self.reference.host}"
            return self._base

    def may_be_plain(self, host: str) -> bool:
        """Whether a host that the registry names for its tokens may be asked without TLS.

        Only where the registry itself is: on its own host, or with both on this machine.
        """
        base = httpx2.URL(self.base_url())
        both_here = _LOOPBACK.fullmatch(base.host) and _LOOPBACK.fullmatch(host)
        return base.scheme == "http" and (host == base.host or bool(both_here))

    def count(self, *, sent: int = 0, received: int = 0) -> None:
        """Add to the bytes sent and received over the network."""
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
        content: BodyFactory | None = None,
        tries: int = TRIES,
        accept: Iterable[int] = (),
        limit: float = RESPONSE_LIMIT,
    ) -> RegistryResponse:
        """Return a whole response with a status below 400 or in `accept`. Raises RegistryError with the reason.

        `limit`: seconds without a byte after which the request fails.
        """
        with self.stream(
            method, path, scopes=scopes, headers=headers, content=content, tries=tries, accept=accept, limit=limit
        ) as answer:
            try:
                body = read_body(answer, MAX_RESPONSE_BYTES)
            except TooMany:
                where = f"{method} {_without_query(path)}"
                raise RegistryError(f"the response has more than {MAX_RESPONSE_BYTES} bytes", where=where) from None
            except httpx2.HTTPError as error:
                raise self.unreachable_error(method, path, error) from error
            self.count(received=len(body))
            following = str(answer.links.get("next", {}).get("url") or "")
            return RegistryResponse(answer.status_code, answer.headers, body, following)

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        scopes: str,
        headers: Mapping[str, str] | None = None,
        content: BodyFactory | None = None,
        tries: int = TRIES,
        accept: Iterable[int] = (),
        limit: float = RESPONSE_LIMIT,
    ) -> Iterator[httpx2.Response]:
        """Like `request`, but the caller reads the body and translates the errors of reading it."""
        timeout = httpx2.Timeout(limit, connect=CONNECT_LIMIT)
        request = _Request(method, path, scopes, dict(headers or {}), content, timeout)
        answer = self._send_with_retries(request, tries, frozenset(accept))
        try:
            yield answer
        finally:
            answer.close()

    def unreachable_error(self, method: str, path: str, error: Exception) -> RegistryError:
        """Translate a network error. The hint names the setting that the error points to."""
        kind = "did not answer in time" if isinstance(error, httpx2.TimeoutException) else "does not answer"
        reason = str(error) or type(error).__name__
        hint = "check the address and the network"
        if "CERTIFICATE_VERIFY_FAILED" in reason or "certificate" in reason.lower():
            hint = (
                "its certificate is not trusted: set PLIMSOLL_REGISTRY_CA to the PEM file of its certificate authority"
            )
        elif "SSL" in reason or "TLS" in reason:
            hint = "if it speaks plain HTTP, add it to PLIMSOLL_PLAIN_HTTP_REGISTRIES"
        where = f"{method} {_without_query(path)}"
        return RegistryError(f"the registry {self.reference.registry} {kind}: {reason}", where=where, hint=hint)

    def _send_with_retries(self, request: _Request, tries: int, accept: frozenset[int]) -> httpx2.Response:
        method, path = request.method, request.path
        logged_in = False
        attempt = 1
        while True:
            problem: RegistryError
            wait = 0.2 * 2**attempt
            try:
                answer = self._send_once(request)
            except httpx2.HTTPError as error:
                problem = self.unreachable_error(method, path, error)
                if isinstance(error, httpx2.TimeoutException):
                    # The registry has used its whole time: retry only once more.
                    attempt = max(attempt, tries - 1)
            else:
                if answer.status_code < 400 or answer.status_code in accept:
                    return answer
                content = read_error(answer)
                if answer.status_code == 401 and not logged_in and self._is_registry(answer.url):
                    self._log_in(answer, request.scopes)
                    logged_in = True
                    continue
                problem = self._refusal(method, path, answer, content)
                if answer.status_code not in TRANSIENT:
                    raise problem
                wait = max(wait, min(30.0, _retry_after_seconds(answer.headers.get("Retry-After", ""))))
            if attempt >= tries:
                raise problem
            attempt += 1
            time.sleep(wait)

    def _send_once(self, request: _Request) -> httpx2.Response:
        """Send a request, and follow redirects of reading ones: blobs are often in an object store."""
        sending = int(request.headers.get("Content-Length", 0)) / SLOWEST_UPLOAD
        limit = (request.timeout.read or RESPONSE_LIMIT) + HEAD_LIMIT + sending
        url = httpx2.URL(self.url(request.path))
        for _ in range(MAX_REDIRECTS + 1):
            answer = within(limit, partial(self._send_to, url, request))
            if not answer.has_redirect_location:
                return answer
            answer.close()
            if request.method not in {"GET", "HEAD"}:
                where = f"{self.reference.registry}: {request.method} {_without_query(request.path)}"
                raise RegistryError("the registry redirects a request that writes", where=where, hint=_PUSH_THERE)
            url = self._redirected(url, answer)
        message = f"the registry {self.reference.registry} redirects a request more than {MAX_REDIRECTS} times"
        raise RegistryError(message, where=f"{request.method} {_without_query(request.path)}")

    def _send_to(self, url: httpx2.URL, request: _Request) -> httpx2.Response:
        headers = request.headers
        token = self._tokens.get(request.scopes)
        if token and self._is_registry(url):
            headers = {**headers, "Authorization": token}
        body = request.content() if request.content else None
        built = self._client.build_request(request.method, url, headers=headers, content=body, timeout=request.timeout)
        return self._client.send(built, stream=True, follow_redirects=False)

    def _is_registry(self, url: httpx2.URL) -> bool:
        """Whether a URL is on the registry itself. Credentials and tokens are for no other host, port or scheme."""
        return _origin(url) == _origin(httpx2.URL(self.base_url()))

    def _redirected(self, url: httpx2.URL, answer: httpx2.Response) -> httpx2.URL:
        location = answer.headers["Location"]
        try:
            found = httpx2.URL(self.url(str(url.join(location))))
        except (httpx2.InvalidURL, ValueError):
            raise RegistryError("the registry redirects to something that is no URL", where=location[:200]) from None
        if url.scheme == "https" and found.scheme != "https":
            hint = "ask the operator of the registry to redirect to https"
            where = f"{self.reference.registry}: {_without_query(str(found))[:200]}"
            raise RegistryError("the registry redirects from TLS to a host without it", where=where, hint=hint)
        return found

    def _speaks_tls(self) -> bool:
        try:
            url = f"https://{self.reference.host}/v2/"
            send = partial(self._client.send, self._client.build_request("GET", url), stream=True)
            within(HEAD_LIMIT, send).close()
        except httpx2.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise self.unreachable_error("GET", "/v2/", error) from error
            return False
        except httpx2.HTTPError as error:
            raise self.unreachable_error("GET", "/v2/", error) from error
        return True

    def _log_in(self, answer: httpx2.Response, scopes: str) -> None:
        """Answer a 401: fetch a bearer token for the scopes, or send name and password."""
        from plimsoll.registry.tokens import authorization

        with self._lock:
            if self._credentials is None:
                repository = self.reference.repository
                self._credentials = find_credentials(self.reference.registry, repository, self.access.credentials)
            credentials = self._credentials
        challenge = answer.headers.get("WWW-Authenticate", "")
        try:
            self._tokens[scopes] = authorization(
                self._client, challenge, scopes, credentials, self.reference, self.may_be_plain
            )
        except httpx2.HTTPError as error:
            raise self.unreachable_error("GET", "the token service", error) from error

    def _advice(self, status: int) -> str:
        """What to do about a status; what a credential helper said that gave none comes first."""
        problem = self._credentials.problem if self._credentials is not None and status in (401, 403) else ""
        return "; ".join(filter(None, (problem, _HINTS.get(status, ""))))

    def _refusal(self, method: str, path: str, answer: httpx2.Response, content: bytes) -> RegistryError:
        status = answer.status_code
        if status == 401 and not self._is_registry(answer.url):
            message = f"the registry leads to {answer.url.host[:100]}, which asks for a login"
            where = f"{self.reference.registry}: {method} {_without_query(path)}"
            hint = "the credentials are the registry's and are not sent there: ask its operator to redirect elsewhere"
            return RegistryError(message, status=status, where=where, hint=hint)
        return RegistryError(
            f"the registry refused the request: {error_summary(answer, content)}",
            status=status,
            where=f"{self.reference.registry}: {method} {_without_query(path)}",
            hint=self._advice(status),
        )


_PUSH_THERE = "push to the host that it redirects to, if you trust it"
_HINTS = {
    401: "log in (docker login, skopeo login), or set REGISTRY_AUTH_FILE to the file with the credentials",
    403: "the credentials do not allow this: ask for access to this repository",
    404: "check the name of the repository, and whether it was pushed",
    413: "the registry, or a proxy in front of it, does not accept blobs of this size",
}


def _ssl_context(ca_file: Path | None) -> ssl.SSLContext:
    """The context of all connections with the same authorities: each has some megabytes of them."""
    try:
        stamp = ca_file.stat().st_mtime_ns if ca_file is not None else 0
    except OSError:
        stamp = 0
    return _context(ca_file, stamp)


@lru_cache(maxsize=4)
def _context(ca_file: Path | None, _stamp: int) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "strerror", None) or error
            hint = "set PLIMSOLL_REGISTRY_CA to a PEM file with certificates"
            raise TargetError(
                f"cannot read the registry's certificate authority: {reason}", where=str(ca_file), hint=hint
            ) from error
    return context


def _without_query(path: str) -> str:
    """Queries of upload URLs carry state and sometimes signatures, so they must not reach logs."""
    return path.partition("?")[0]


def _retry_after_seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return (url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme))
