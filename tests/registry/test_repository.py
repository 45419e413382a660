from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from plimsoll.errors import ModelRefused, TargetError
from plimsoll.registry import uploads
from plimsoll.registry.connection import RegistryAccess
from plimsoll.registry.layout import MANIFEST, Descriptor
from plimsoll.registry.problems import RegistryError
from plimsoll.registry.references import Reference, parse_reference
from plimsoll.registry.repository import Repository
from tests.servers import CuttingProxy, registry

MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with registry(tmp_path_factory.mktemp("server")) as reference:
        yield reference


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "CHUNK", MIB)


def made(directory: Path, size: int) -> tuple[Descriptor, Path]:
    content = os.urandom(size)
    path = directory / f"blob{size}"
    path.write_bytes(content)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    return Descriptor(media_type="application/octet-stream", digest=digest, size=size), path


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7])
def test_a_blob_of_any_size_survives_a_round_trip(server: Reference, tmp_path: Path, size: int) -> None:
    blob, path = made(tmp_path, size)
    with Repository(server) as repository:
        assert repository.push_blob(blob, path)
        assert not repository.push_blob(blob, path) or size == 0
        repository.pull_blob(blob, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_an_upload_survives_broken_connections(server: Reference, tmp_path: Path) -> None:
    port = int(server.registry.rpartition(":")[2])
    proxy = CuttingProxy(port, up=[5 * MIB + 300_000, MIB])
    blob, path = made(tmp_path, 8 * MIB)
    with Repository(parse_reference(f"127.0.0.1:{proxy.port}/cut/up")) as repository:
        assert repository.push_blob(blob, path)
        assert proxy.cuts["up"] == []
        assert repository.has_blob(blob.digest)
    proxy.close()


class KeepingRegistry:
    """Uploads as the specification allows: the registry keeps the bytes of a broken chunk and reports their number.

    distribution 3 does so, 2 drops such uploads: here it is known which. The first PATCH breaks off in its middle; with
    `forgets` each does, and nothing is kept.
    """

    def __init__(self, *, forgets: bool = False) -> None:
        self.content = bytearray()
        self.stored: dict[str, bytes] = {}
        self.broken = False
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def say(self, status: int, **headers: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_HEAD(self) -> None:
                self.say(200 if self.path.rpartition("/")[2] in registry.stored else 404)

            def do_POST(self) -> None:
                registry.content.clear()
                self.say(202, Location="/upload?state=0")

            def do_GET(self) -> None:
                if forgets:
                    self.say(404)
                    return
                self.say(204, Location="/upload?state=1", Range=f"0-{len(registry.content) - 1}")

            def do_PATCH(self) -> None:
                length = int(self.headers["Content-Length"])
                start = int(self.headers["Content-Range"].partition("-")[0])
                if start != len(registry.content):
                    self.rfile.read(length)
                    self.say(416)
                elif not registry.broken:
                    registry.broken = not forgets
                    registry.content += self.rfile.read(length // 2)
                    self.close_connection = True
                    self.connection.shutdown(2)
                else:
                    registry.content += self.rfile.read(length)
                    self.say(202, Location="/upload?state=2", Range=f"0-{len(registry.content) - 1}")

            def do_PUT(self) -> None:
                registry.content += self.rfile.read(int(self.headers["Content-Length"]))
                registry.stored[self.path.rpartition("digest=")[2]] = bytes(registry.content)
                self.say(201)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


def test_an_upload_continues_where_it_broke_in_a_registry_that_keeps_chunks(tmp_path: Path) -> None:
    keeping = KeepingRegistry()
    blob, path = made(tmp_path, 4 * MIB)
    reference = parse_reference(f"127.0.0.1:{keeping.server.server_port}/kept/here")
    with Repository(reference, RegistryAccess(plain_http=True)) as repository:
        assert repository.push_blob(blob, path)
        assert repository.connection.sent <= 4 * MIB + MIB // 2
    assert keeping.stored[blob.digest] == path.read_bytes()
    keeping.server.shutdown()
    keeping.server.server_close()


def test_an_upload_that_the_registry_always_drops_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "TRIES", 3)
    forgetting = KeepingRegistry(forgets=True)
    blob, path = made(tmp_path, 4 * MIB)
    reference = parse_reference(f"127.0.0.1:{forgetting.server.server_port}/lost/here")
    with (
        Repository(reference, RegistryAccess(plain_http=True)) as repository,
        pytest.raises(RegistryError, match=r"does not answer|dropped the upload"),
    ):
        repository.push_blob(blob, path)
    forgetting.server.shutdown()
    forgetting.server.server_close()


def test_a_download_continues_after_a_broken_connection(server: Reference, tmp_path: Path) -> None:
    port = int(server.registry.rpartition(":")[2])
    blob, path = made(tmp_path, 12 * MIB)
    with Repository(server.below("cut")) as repository:
        repository.push_blob(blob, path)
    proxy = CuttingProxy(port, down=[5 * MIB, 3 * MIB])
    with Repository(parse_reference(f"127.0.0.1:{proxy.port}/{server.repository}/cut")) as repository:
        repository.pull_blob(blob, tmp_path / "back")
        assert proxy.cuts["down"] == []
        assert repository.connection.received < 12 * MIB + MIB
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    proxy.close()


@pytest.mark.slow
def test_a_registry_that_does_not_answer_is_named_within_seconds() -> None:
    began = time.monotonic()
    with Repository(parse_reference("127.0.0.1:1/team/app")) as repository, pytest.raises(RegistryError) as caught:
        repository.manifest("1")
    assert caught.value.status == 0
    assert "the registry 127.0.0.1:1 does not answer" in str(caught.value)
    assert time.monotonic() - began < 20


def test_a_missing_manifest_is_reported_with_its_repository(server: Reference, tmp_path: Path) -> None:
    with Repository(server.below("nothing")) as repository:
        with pytest.raises(RegistryError, match="there is no manifest latest") as caught:
            repository.manifest()
        assert caught.value.where == f"{server.name}/nothing"
        assert caught.value.lasting
        assert repository.tags() == []
        blob = Descriptor(media_type="", digest="sha256:" + "0" * 64, size=1)
        with pytest.raises(RegistryError, match="BLOB_UNKNOWN"):
            repository.pull_blob(blob, tmp_path / "x")
        assert not (tmp_path / "x").exists()


def test_a_blob_whose_size_is_not_the_described_one_is_refused(server: Reference, tmp_path: Path) -> None:
    blob, path = made(tmp_path, 1000)
    with Repository(server) as repository:
        repository.push_blob(blob, path)
        for size in (999, 1001):
            wrong = Descriptor(media_type="", digest=blob.digest, size=size)
            with pytest.raises(ModelRefused):
                repository.pull_blob(wrong, tmp_path / "x")
            with pytest.raises(ModelRefused):
                repository.blob(wrong, "it")
    assert not (tmp_path / "x").exists()


def test_a_manifest_without_its_blobs_is_not_taken(server: Reference) -> None:
    config = {"mediaType": "application/x", "digest": "sha256:" + "1" * 64, "size": 3}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}
    with Repository(server.below("empty")) as repository, pytest.raises(RegistryError, match="refused the request: 4"):
        repository.push_manifest(json.dumps(manifest).encode(), MANIFEST, tag="1")


def test_a_name_and_password_of_a_docker_config_are_used(tmp_path: Path) -> None:
    # What htpasswd -B makes of the word 'secret'.
    hashed = "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"
    (tmp_path / "htpasswd").write_text(f"ada:{hashed}\n")
    with registry(tmp_path, f"auth: {{htpasswd: {{realm: test, path: {tmp_path / 'htpasswd'}}}}}") as reference:
        blob, path = made(tmp_path, 10)
        with Repository(reference, access("{}", tmp_path)) as repository, pytest.raises(RegistryError) as caught:
            repository.push_blob(blob, path)
        assert "a user name and a password, and none are configured" in str(caught.value)
        auth = base64.b64encode(b"ada:secret").decode()
        config = json.dumps({"auths": {reference.registry: {"auth": auth}}})
        with Repository(reference, access(config, tmp_path)) as repository:
            assert repository.push_blob(blob, path)
        wrong = json.dumps({"auths": {reference.registry: {"username": "ada", "password": "wrong"}}})
        with Repository(reference, access(wrong, tmp_path)) as repository, pytest.raises(RegistryError) as caught:
            repository.has_blob(blob.digest)
        assert caught.value.status == 401
        assert "secret" not in str(caught.value)
        helper = tmp_path / "docker-credential-test"
        helper.write_text('#!/bin/sh\ncat > "$0.asked"\necho \'{"Username": "ada", "Secret": "secret"}\'\n')
        helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
            config = json.dumps({"credHelpers": {reference.registry: "test"}})
            with Repository(reference, access(config, tmp_path)) as repository:
                assert repository.has_blob(blob.digest)
        assert (tmp_path / "docker-credential-test.asked").read_text() == reference.registry


def access(config: str, directory: Path) -> RegistryAccess:
    path = directory / "config.json"
    path.write_text(config)
    return RegistryAccess(credentials=path)


def test_unreadable_credentials_are_an_error_and_not_anonymous_access(tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text("ada:x\n")
    with registry(tmp_path, f"auth: {{htpasswd: {{realm: test, path: {tmp_path / 'htpasswd'}}}}}") as reference:
        for broken in ("[", '{"auths": {"%s": {"auth": "!"}}}' % reference.registry):  # noqa: UP031
            with (
                Repository(reference, access(broken, tmp_path)) as repository,
                pytest.raises(TargetError, match="cannot read the registry credentials"),
            ):
                repository.tags()


class TokenService:
    """A token service by the specification: signed tokens for the requested scopes, for the right password."""

    def __init__(self, directory: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tokens")])
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.bundle = directory / "tokens.pem"
        self.bundle.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        self.asked: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                service.asked.append(self.path)
                wanted = "Basic " + base64.b64encode(b"ada:secret").decode()
                known = self.headers.get("Authorization") == wanted
                body = json.dumps({"token": service.token(self.path)} if known else {}).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def token(self, path: str) -> str:
        from urllib.parse import parse_qs, urlsplit

        scopes = [scope.split(":") for scope in parse_qs(urlsplit(path).query)["scope"]]
        grants = [{"type": kind, "name": name, "actions": actions.split(",")} for kind, name, actions in scopes]
        now = int(time.time())
        chain = [base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()]
        header = {"typ": "JWT", "alg": "ES256", "x5c": chain}
        claims: dict[str, object] = {"iss": "tests", "aud": "registry", "sub": "ada", "access": grants, "jti": "1"}
        claims |= {"exp": now + 300, "nbf": now - 60, "iat": now}
        signed = ".".join(_plain(json.dumps(part).encode()) for part in (header, claims))
        one, two = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_plain(one.to_bytes(32, 'big') + two.to_bytes(32, 'big'))}"


def _plain(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def test_a_bearer_token_is_asked_for_once_a_scope(tmp_path: Path) -> None:
    service = TokenService(tmp_path)
    realm = f"http://127.0.0.1:{service.server.server_port}/token"
    more = f"auth: {{token: {{realm: '{realm}', service: registry, issuer: tests, rootcertbundle: {service.bundle}}}}}"
    with registry(tmp_path, more) as reference:
        config = json.dumps({"auths": {reference.registry: {"username": "ada", "password": "secret"}}})
        blob, path = made(tmp_path, 3 * MIB)
        with Repository(reference, access(config, tmp_path)) as repository:
            repository.push_blob(blob, path)
            repository.pull_blob(blob, tmp_path / "back")
        assert len(service.asked) == 2
        with Repository(reference, access("{}", tmp_path)) as repository, pytest.raises(RegistryError) as caught:
            repository.has_blob(blob.digest)
        assert "its token service refused: 401" in str(caught.value)
    service.server.shutdown()
    service.server.server_close()


def test_referrers_are_found_by_type_and_added_one_beside_the_other(server: Reference, tmp_path: Path) -> None:
    with Repository(server.below("referred")) as repository:
        empty, path = made(tmp_path, 2)
        repository.push_blob(empty, path)
        subject = Descriptor(media_type=MANIFEST, digest="sha256:" + "a" * 64, size=10)
        digests: list[str] = []
        for kind in ("application/one", "application/two", "application/one"):
            content = json.dumps(
                {
                    "schemaVersion": 2,
                    "mediaType": MANIFEST,
                    "artifactType": kind,
                    "config": {"mediaType": "application/x", "digest": empty.digest, "size": 2},
                    "layers": [],
                    "annotations": {"number": str(len(digests))},
                }
            ).encode()
            digests.append(repository.push_referrer(content, subject, kind))
            repository.push_referrer(content, subject, kind)
        found = repository.referrers(subject.digest, "application/one")
        assert [each.digest for each in found] == [digests[0], digests[2]]
        assert repository.referrers(subject.digest, "application/three") == []
