"""A webhook as a process of its own, over HTTPS, beside a real registry."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plimsoll.registry.cosign import sign_artifact
from plimsoll.registry.references import Reference
from plimsoll.registry.repository import Repository
from plimsoll.signing.keys import KeyRing
from plimsoll.signing.serving_certificates import Authority
from tests.registry.test_cosign import pushed
from tests.servers import free_port, wait_for_port
from tests.servers import registry as registry_process


class Webhook:
    """Speaks to a webhook as the API server does."""

    def __init__(self, port: int, authority: bytes, log: Path) -> None:
        self.port = port
        self.log = log
        self.context = ssl.create_default_context(cadata=authority.decode())

    @contextlib.contextmanager
    def connected(self) -> Iterator[ssl.SSLSocket]:
        """A connection, for what no client would send."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=30) as plain,
            self.context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            yield secure

    def send(self, path: str, content: bytes, method: str = "POST") -> tuple[int, bytes]:
        request = urllib.request.Request(f"https://localhost:{self.port}{path}", data=content, method=method)
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def review(self, content: Any, *, path: str = "/judge", **words: Any) -> Any:
        """The response to the review of an object."""
        request = {
            "uid": "7c5f",
            "kind": {"group": "", "version": "v1", "kind": content["kind"]},
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {"username": "ana"},
            "object": content,
            **words,
        }
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        status, answer = self.send(path, json.dumps(review).encode())
        assert status == 200, answer
        found = json.loads(answer)
        assert (found["kind"], found["response"]["uid"]) == ("AdmissionReview", "7c5f")
        return found["response"]

    def why(self, content: Any, *, path: str = "/judge", **words: Any) -> str:
        """Why an object is refused; empty when it is allowed."""
        response = self.review(content, path=path, **words)
        return "" if response["allowed"] else str(response["status"]["message"])


@contextlib.contextmanager
def webhook(
    place: Path, keys: Path, registries: tuple[str, ...], *more: str, authority: Authority | None = None
) -> Iterator[Webhook]:
    """A webhook that runs with these keys."""
    authority = authority or Authority.new()
    place.mkdir(exist_ok=True)
    renew(place, authority)
    port = free_port()
    allowed = [word for each in registries for word in ("--registry", each)]
    command = [sys.executable, "-m", "plimsoll.runtime.admission", "--keys", str(keys), *allowed, *more]
    command += ["--certificate", str(place), "--host", "127.0.0.1", "--port", str(port)]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ})
    try:
        wait_for_port(port, process)
        yield Webhook(port, authority.certificate, place / "log")
    finally:
        process.terminate()
        process.wait(20)


def renew(place: Path, authority: Authority) -> None:
    """Write a new certificate of the authority, as a mounted Secret gets one."""
    made = authority.issue(("localhost",))
    for name, content in (("tls.key", made.key), ("tls.crt", made.certificate)):
        (place / f".{name}").write_bytes(content)
        (place / f".{name}").chmod(0o600)
        (place / f".{name}").replace(place / name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with registry_process(tmp_path_factory.mktemp("server"), in_memory=True) as reference:
        yield reference


class Shop:
    """A registry with a signed image and an unsigned one, and the ring that has signed."""

    def __init__(self, repository: Repository, keys: KeyRing) -> None:
        self.repository = repository
        self.keys = keys
        self.name = repository.reference.name
        self.registry = repository.reference.registry
        self.good = pushed(repository, b"good", tag="good")
        self.bad = pushed(repository, b"bad", tag="bad")
        sign_artifact(repository, self.good, keys)
        self.signed = f"{self.name}@{self.good}"
        self.unsigned = f"{self.name}@{self.bad}"


@pytest.fixture(scope="module")
def shop(server: Reference, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with Repository(server.below("shop")) as repository:
        yield Shop(repository, KeyRing(tmp_path_factory.mktemp("ring") / "keys"))


@pytest.fixture(scope="module")
def hook(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:
    with webhook(tmp_path_factory.mktemp("tls"), shop.keys.trusted, (shop.name,)) as running:
        yield running
