"""The client of registries, against a registry on this machine that answers what an input says."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import time
from pathlib import Path
from random import Random
from typing import Any, NoReturn

from benchmarks.hardening.hostile_registry import ENDLESS, HostileRegistry
from benchmarks.hardening.mutation import mutated, mutated_json

BLOB = b"weights" * 50
CONFIG = b'{"name":"m","version":1}'
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
OPERATIONS = {
    "manifest": ("manifests",),
    "tag": ("manifests",),
    "has_manifest": ("manifests",),
    "tags": ("tags",),
    "referrers": ("referrers", "manifests"),
    "blob": ("blobs",),
    "pull_blob": ("blobs",),
    "push_blob": ("blobs", "uploads", "put"),
    "push_manifest": ("put",),
    "base": ("manifests", "blobs"),
    "facts": ("manifests", "blobs"),
}
"""What the client does, and the answers that it needs for that."""
WAIT = 300.0
"""Seconds that a client may wait in all at the word of a registry."""
MOST = 48 << 20
"""Bytes that a client may read of a body that does not end."""


def digest_of(content: bytes) -> str:
    """The digest as registries write it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


DOCUMENT: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": MANIFEST_TYPE,
    "config": _descriptor(CONFIG, "application/json"),
    "layers": [_descriptor(BLOB, "application/octet-stream")],
}
MANIFEST = json.dumps(DOCUMENT).encode()
INDEX: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": INDEX_TYPE,
    "manifests": [{**_descriptor(MANIFEST, MANIFEST_TYPE), "artifactType": "a/b", "annotations": {"a": "b"}}],
}
IMAGE: dict[str, Any] = {
    "os": "linux",
    "architecture": "amd64",
    "config": {"Env": ["PATH=/bin", "A=b"], "Labels": {"dev.plimsoll.facts": '{"a": 1}'}},
    "rootfs": {"type": "layers", "diff_ids": [digest_of(b"layer")]},
    "history": [{"created_by": "a"}],
}
"""The config of an image with one layer, and with the facts of a result."""
PLATFORMS: dict[str, Any] = {
    **INDEX,
    "manifests": [{**_descriptor(MANIFEST, MANIFEST_TYPE), "platform": {"os": "linux", "architecture": "amd64"}}],
}
TAGS = {"name": "team/m", "tags": ["1", "newest"]}


def _answer(status: str, body: bytes, *lines: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


def whole() -> dict[str, bytes]:
    """The answers of a registry that does nothing wrong, by what they are for."""
    return {
        "manifests": _answer("200 OK", MANIFEST, f"Content-Type: {MANIFEST_TYPE}"),
        "blobs": _answer("200 OK", BLOB),
        "tags": _answer("200 OK", json.dumps(TAGS).encode(), "Content-Type: application/json"),
        "referrers": _answer("200 OK", json.dumps(INDEX).encode(), f"Content-Type: {INDEX_TYPE}"),
        "uploads": _answer("202 Accepted", b"", "Location: /v2/team/m/blobs/uploads/1", "Range: 0-0"),
        "put": _answer("201 Created", b"", f"Docker-Content-Digest: {digest_of(MANIFEST)}"),
        "token": _answer("200 OK", b'{"token": "t", "expires_in": 60}'),
    }


_WILD = (
    _answer("401 Unauthorized", b"{}", 'WWW-Authenticate: Bearer realm="http://127.0.0.1:PORT/token",service="s"'),
    _answer("401 Unauthorized", b"{}", 'WWW-Authenticate: Bearer realm="http://[::1/",service=s'),
    _answer("401 Unauthorized", b"{}", 'WWW-Authenticate: Basic realm="x"'),
    _answer("401 Unauthorized", b"{}", "WWW-Authenticate: Bearer realm=\xff"),
    _answer("307 Temporary Redirect", b"", "Location: /v2/team/m/manifests/1"),
    _answer("307 Temporary Redirect", b"", "Location: http://127.0.0.1:PORT/v2/team/m/blobs/x"),
    _answer("307 Temporary Redirect", b"", "Location: http://[::1"),
    _answer("302 Found", b"", "Location: gopher://x"),
    _answer("301 Moved", b""),
    _answer("404 Not Found", b'{"errors": [{"code": 1, "message": null}]}'),
    _answer("429 Too Many", b"[]", "Retry-After: 99999999999999999999"),
    _answer("503 Busy", b'{"errors": {}}', "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"),
    _answer("500 Error", b'{"errors": [{"code": "\xff"}]}'),
    _answer("200 OK", b"x" * 100, "Content-Encoding: gzip"),
    _answer("200 OK", b"null", "Link: </v2/team/m/tags/list>; rel=next", "Link: <>; rel=next"),
    _answer("206 Partial Content", BLOB[5:], "Content-Range: bytes 5-9/10"),
    _answer("202 Accepted", b"", "Location: http://[::1", "Range: x-y"),
    _answer("202 Accepted", b"", "Range: 0-99999999999999999999"),
    _answer("200 OK", b"[" * 200_000),
    _answer("200 OK", b'{"tags": [1, null]}'),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
    b"",
)


class RegistryArea:
    """An input is JSON: the operation, and the answers by what they are for, one of them without an end perhaps."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server = HostileRegistry()
        self._waited = 0.0
        # Retries wait for minutes: the time is counted and not spent.
        time.sleep = self._sleep  # type: ignore[assignment]  # the worker has no other use of it

    def _sleep(self, seconds: float) -> None:
        self._waited += seconds
        if self._waited > WAIT:
            _give_up()

    def made(self, random: Random) -> bytes:
        """A registry of which one to three answers are wrong."""
        answers, operation = whole(), random.choice(list(OPERATIONS))
        if random.random() < 0.2:
            answers[random.choice(OPERATIONS[operation])] = _WILD[0]
        for _ in range(random.choice((1, 1, 2, 3))):
            name = random.choice((*OPERATIONS[operation], "token"))
            way = random.randrange(10)
            if way < 3:
                answers[name] = random.choice(_WILD)
            elif way < 6:
                document = {"tags": TAGS, "referrers": INDEX, "token": {"token": "t"}}.get(name, DOCUMENT)
                answers[name] = _answer("200 OK", mutated_json(random, document), f"Content-Type: {MANIFEST_TYPE}")
            elif way < 9:
                answers[name] = mutated(random, answers[name])
            else:
                status = random.choice(("200 OK", "404 Not Found", "500 Error", "401 Unauthorized"))
                answers[name] = f"HTTP/1.1 {status}\r\n\r\n".encode() + ENDLESS
        if operation in {"base", "facts"} and random.random() < 0.7:
            answers |= _image(random)
        coded = {name: base64.b64encode(answer).decode() for name, answer in answers.items()}
        return json.dumps({"operation": operation, "answers": coded}).encode()

    def attempt(self, raw: bytes) -> str | None:
        """Carry out one operation against this registry."""
        from plimsoll.errors import PlimsollError
        from plimsoll.registry.connection import RegistryAccess
        from plimsoll.registry.references import parse_reference
        from plimsoll.registry.repository import Repository

        case = json.loads(raw)
        self._waited = 0.0
        self._server.begin({name: base64.b64decode(answer) for name, answer in case["answers"].items()})
        reference = parse_reference(f"127.0.0.1:{self._server.port}/team/m")
        credentials = self._directory / "credentials.json"
        credentials.write_text("{}")
        refusal, problem = None, None
        try:
            with Repository(reference, RegistryAccess(plain_http=True, credentials=credentials)) as repository:
                problem = self._carried_out(case["operation"], repository)
        except _GaveUp:
            problem = f"{case['operation']}: it would wait for more than {WAIT:g} s"
        except PlimsollError as error:
            refusal = error
        if self._server.end() > MOST:
            return f"{case['operation']}: it reads a body without an end"
        if refusal is not None:
            raise refusal
        return problem

    def _carried_out(self, operation: str, repository: Any) -> str | None:
        """What is wrong with the result; the digests of all results are known. Raises PlimsollError."""
        from plimsoll.registry.layout import Descriptor
        from plimsoll.runtime.artifacts import read_facts

        blob = Descriptor(media_type="a/b", digest=digest_of(BLOB), size=len(BLOB))
        file = self._directory / "files" / "blob"
        shutil.rmtree(file.parent, ignore_errors=True)
        file.parent.mkdir()
        found: Any
        match operation:
            case "manifest":
                found = repository.manifest(digest_of(MANIFEST)).content == MANIFEST
            case "tag":
                fetched = repository.manifest("newest")
                found = fetched.digest == digest_of(fetched.content) and isinstance(
                    fetched.decoded().config.digest, str
                )
            case "has_manifest":
                found = isinstance(repository.has_manifest("newest"), str)
            case "tags":
                found = all(isinstance(tag, str) for tag in repository.tags())
            case "referrers":
                found = all(each.digest for each in repository.referrers(digest_of(MANIFEST), "a/b"))
            case "blob":
                found = repository.blob(blob, "the blob") == BLOB
            case "pull_blob":
                repository.pull_blob(blob, file)
                found = file.read_bytes() == BLOB
            case "base":
                found = _composed(repository, self._directory / "layers")
            case "facts":
                facts = read_facts(repository, "newest")
                found = facts is None or isinstance(facts[1], dict)
            case "push_blob":
                file.write_bytes(BLOB)
                found = repository.push_blob(blob, file) in {True, False}
            case _:
                found = repository.push_manifest(MANIFEST, MANIFEST_TYPE, "newest") == digest_of(MANIFEST)
        return None if found else f"{operation}: another result than the digest says"


def _image(random: Random) -> dict[str, bytes]:
    """The answers for an image, one of whose documents is another; the digests of all of them are right."""
    config = mutated_json(random, IMAGE) if random.random() < 0.7 else json.dumps(IMAGE).encode()
    document = {**DOCUMENT, "config": _descriptor(config, "a/b"), "layers": [_descriptor(b"layer", "a/b")]}
    document = PLATFORMS if random.random() < 0.2 else document
    manifest = mutated_json(random, document) if random.random() < 0.5 else json.dumps(document).encode()
    return {
        "manifests": _answer("200 OK", manifest, f"Content-Type: {MANIFEST_TYPE}"),
        "blobs": _answer("200 OK", config),
    }


def _composed(repository: Any, directory: Path) -> bool:
    """Put nothing on the image as a base; whether its parts have digests. Raises PlimsollError."""
    from plimsoll.images.base import find_base
    from plimsoll.images.image import compose
    from plimsoll.images.layers import LayerStore

    name, access = f"docker://{repository.reference.name}", repository.connection.access
    base = find_base(name, LayerStore(directory), architecture="amd64", access=access)
    made = compose(base, [], environment={"PATH": "/a"}, labels={"a": "b"})
    return bool(made.config) and all(layer.descriptor.digest.startswith("sha256:") for layer in base.layers)


class _GaveUp(BaseException):
    """No handler of the client may take it for an error of the network."""


def _give_up() -> NoReturn:
    raise _GaveUp
