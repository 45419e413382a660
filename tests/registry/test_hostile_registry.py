"""A registry that lies, and hosts that it leads to: what they get of ours, and what they cost."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from plimsoll.errors import PlimsollError
from plimsoll.registry import bounds, connection
from plimsoll.registry.connection import RegistryAccess, RegistryConnection
from plimsoll.registry.problems import RegistryError
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.registry.tokens import authorization

PASSWORD = "open sesame"
Answering = Callable[["Host", BaseHTTPRequestHandler], None]


class Host:
    """An HTTP host that answers everything by one function; `seen` has the Authorization header of each request."""

    def __init__(self, answer: Answering, address: str = "127.0.0.1") -> None:
        self.seen: list[str] = []
        self.sent = 0
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                host.seen.append(self.headers.get("Authorization", ""))
                try:
                    answer(host, self)
                except OSError:
                    self.close_connection = True

            do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - as the server wants them

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer((address, 0), Handler)
        self.server.daemon_threads = True
        self.name = f"{address}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def host() -> Iterator[Callable[..., Host]]:
    made: list[Host] = []

    def make(answer: Answering, address: str = "127.0.0.1") -> Host:
        made.append(Host(answer, address))
        return made[-1]

    yield make
    for each in made:
        each.close()


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def repository(registry: Host, directory: Path, **auth: str) -> Repository:
    known = auth or {"username": "ada", "password": PASSWORD}
    config = directory / "config.json"
    config.write_text(json.dumps({"auths": {registry.name: known}}))
    access = RegistryAccess(plain_http=True, credentials=config)
    return Repository(parse_reference(f"{registry.name}/team/model:1"), access)


def passwords(host: Host) -> list[str]:
    return [base64.b64decode(seen[6:]).decode() for seen in host.seen if seen.startswith("Basic ")]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_host_that_a_registry_redirects_to_gets_no_password(
    host: Callable[..., Host], tmp_path: Path, scheme: str, status: int
) -> None:
    def asks(other: Host, handler: BaseHTTPRequestHandler) -> None:
        realm = f'{scheme} realm="http://{other.name}/token",service="registry"'
        reply(handler, 401, WWW_Authenticate=realm)

    other = host(asks, "127.0.0.2")
    there = f"http://{other.name}/blob"
    registry = host(lambda _, handler: reply(handler, status, Location=there))
    with repository(registry, tmp_path) as opened, pytest.raises(RegistryError, match=r"which asks for a login"):
        opened.manifest()
    assert other.seen == [""]


def test_an_upload_elsewhere_gets_no_password(host: Callable[..., Host], tmp_path: Path) -> None:
    other = host(lambda _, handler: reply(handler, 401, WWW_Authenticate='Basic realm="x"'), "127.0.0.2")
    with repository(host(lambda *_: None), tmp_path) as opened, pytest.raises(RegistryError, match="asks for a login"):
        opened.connection.request("GET", f"http://{other.name}/upload", scopes="s")
    assert other.seen == [""]


def test_the_registry_itself_gets_the_password_and_the_host_it_redirects_to_does_not(
    host: Callable[..., Host], tmp_path: Path
) -> None:
    other = host(lambda _, handler: reply(handler, 200, b"{}"), "127.0.0.2")

    def answer(registry: Host, handler: BaseHTTPRequestHandler) -> None:
        if registry.seen[-1]:
            reply(handler, 307, Location=f"http://{other.name}/blob")
        else:
            reply(handler, 401, WWW_Authenticate='Basic realm="x"')

    registry = host(answer)
    with repository(registry, tmp_path) as opened:
        assert opened.manifest().content == b"{}"
    assert passwords(registry) == [f"ada:{PASSWORD}"]
    assert other.seen == [""]


def test_a_token_service_that_redirects_takes_no_password_along(host: Callable[..., Host], tmp_path: Path) -> None:
    other = host(lambda _, handler: reply(handler, 200, b'{"token": "t"}'), "127.0.0.2")

    def answer(registry: Host, handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/token"):
            reply(handler, 307, Location=f"http://{other.name}/token")
        else:
            reply(handler, 401, WWW_Authenticate=f'Bearer realm="http://{registry.name}/token"')

    with repository(host(answer), tmp_path) as opened, pytest.raises(RegistryError, match="returned no token"):
        opened.manifest()
    assert other.seen == []


@pytest.mark.parametrize(
    ("registry", "plain", "realm", "allowed"),
    [
        ("registry.example", None, "auth.example", False),
        ("registry.example", None, "registry.example", False),
        ("registry.example", True, "registry.example", True),
        ("registry.example", True, "auth.example", False),
        ("127.0.0.1:5000", True, "auth.example", False),
        ("127.0.0.1:5000", True, "localhost", True),
    ],
)
def test_a_password_goes_without_tls_only_where_the_registry_has_none(
    registry: str, plain: bool | None, realm: str, allowed: bool
) -> None:
    opened = RegistryConnection(parse_reference(f"{registry}/a"), RegistryAccess(plain_http=plain))
    assert opened.may_be_plain(realm) is allowed
    opened.close()


def test_a_realm_without_tls_is_refused_by_its_name() -> None:
    import httpx2

    from plimsoll.registry.credentials import Credentials

    challenge = 'Bearer realm="http://auth.example/token",service="s"'
    given = Credentials(username="ada", password=PASSWORD)
    with httpx2.Client() as client, pytest.raises(RegistryError, match=r"http://auth\.example has no TLS"):
        authorization(client, challenge, "s", given, parse_reference("registry.example/a"), lambda _: False)


def endless(host: Host, handler: BaseHTTPRequestHandler, status: int) -> None:
    handler.send_response(status)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    piece = b"a" * (1 << 16)
    while host.sent < 64 << 20:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        host.sent += len(piece)
    handler.close_connection = True


@pytest.mark.parametrize("status", [200, 403, 404])
def test_a_body_without_an_end_is_given_up(host: Callable[..., Host], tmp_path: Path, status: int) -> None:
    registry = host(lambda registry, handler: endless(registry, handler, status))
    with repository(registry, tmp_path) as opened, pytest.raises(RegistryError):
        opened.manifest()
    assert registry.sent < 32 << 20


@pytest.mark.parametrize("status", [200, 403])
def test_a_token_without_an_end_is_given_up(host: Callable[..., Host], tmp_path: Path, status: int) -> None:
    def answer(registry: Host, handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/token"):
            endless(registry, handler, status)
        else:
            reply(handler, 401, WWW_Authenticate=f'Bearer realm="http://{registry.name}/token"')

    registry = host(answer)
    with repository(registry, tmp_path) as opened, pytest.raises(RegistryError, match="denied access"):
        opened.manifest()
    assert registry.sent < 32 << 20


def test_a_compressed_body_is_not_unpacked(host: Callable[..., Host], tmp_path: Path) -> None:
    import gzip

    packed = gzip.compress(b"0" * (32 << 20))
    registry = host(lambda _, handler: reply(handler, 200, packed, Content_Encoding="gzip"))
    with repository(registry, tmp_path) as opened:
        assert opened.manifest().content == packed


def drip(where: str) -> Answering:
    """A response whose head or body comes a byte at a time: each byte is within the limits of the library."""

    def answer(_: Host, handler: BaseHTTPRequestHandler) -> None:
        slow = b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n"
        handler.wfile.write(slow + (b"\r\n" if where == "body" else b"X-Slow: "))
        for _each in range(2000):
            handler.wfile.write(b"a")
            time.sleep(0.01)

    return answer


@pytest.mark.parametrize("where", ["head", "body"])
def test_a_response_that_comes_byte_by_byte_has_a_deadline(
    host: Callable[..., Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(bounds, "BODY_LIMIT", 0.1)
    monkeypatch.setattr(connection, "HEAD_LIMIT", 0.1 - connection.RESPONSE_LIMIT)
    with (
        repository(host(drip(where)), tmp_path) as opened,
        pytest.raises(RegistryError, match="did not answer in time"),
    ):
        opened.connection.request("GET", "/v2/x", scopes="s", tries=1)


def test_a_registry_that_redirects_for_ever_is_given_up(host: Callable[..., Host], tmp_path: Path) -> None:
    registry = host(lambda _, handler: reply(handler, 307, Location=handler.path + "x"))
    with repository(registry, tmp_path) as opened, pytest.raises(RegistryError, match="more than 5 times"):
        opened.manifest()


@pytest.mark.parametrize("location", ["http://[", "http://a:b:c/", "file:///etc/passwd", "http://", "//", "\x01"])
def test_a_redirect_to_nowhere_is_an_error_of_the_registry(
    host: Callable[..., Host], tmp_path: Path, location: str
) -> None:
    registry = host(lambda _, handler: reply(handler, 307, Location=location))
    with repository(registry, tmp_path) as opened, pytest.raises(RegistryError):
        opened.connection.request("GET", "/v2/x", scopes="s", tries=1)


@pytest.mark.parametrize("realm", ["http://[", "ftp://a/", "", "http://", "//x", "a b"])
def test_a_realm_that_is_no_address_is_an_error_of_the_registry(
    host: Callable[..., Host], tmp_path: Path, realm: str
) -> None:
    registry = host(lambda _, handler: reply(handler, 401, WWW_Authenticate=f'Bearer realm="{realm}"'))
    with repository(registry, tmp_path) as opened, pytest.raises(RegistryError, match=r"invalid address|no TLS"):
        opened.manifest()


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"tags": 3}', b"\xff"])
def test_a_list_of_tags_that_is_none_is_an_error(host: Callable[..., Host], tmp_path: Path, body: bytes) -> None:
    registry = host(lambda _, handler: reply(handler, 200, body))
    with repository(registry, tmp_path) as opened, pytest.raises(PlimsollError):
        opened.tags()
