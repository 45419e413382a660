"""A small web server that answers as a Python index, npm, a Maven repository and a model hub do."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
import urllib.parse
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: Mapping[str, bytes], links: Mapping[str, str] = {}) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, target in links.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()


class StandIn:
    """What the server answers by path; `asked` has the paths with the credentials of each request."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []

    def python(self, name: str, filename: str, content: bytes, digest: str = "") -> None:
        """Publish an archive at the Python index."""
        self.pages[f"/files/{filename}"] = content
        file = {"filename": filename, "url": f"../../files/{filename}", "hashes": {"sha256": digest or sha256(content)}}
        older = {"filename": filename.replace("1.0", "0.9"), "url": "https://elsewhere.invalid/x", "hashes": {}}
        self.pages[f"/simple/{name}/"] = json.dumps({"files": [older, file], "meta": {"api-version": "1.1"}}).encode()

    def node(self, name: str, version: str, content: bytes, licence: object = "MIT") -> None:
        """Publish an archive at npm."""
        self.pages["/npm-files/x.tgz"] = content
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
        dist = {"tarball": f"{self.url}/npm-files/x.tgz", "integrity": integrity}
        self.pages[f"/npm/{name}/{version}"] = json.dumps({"license": licence, "dist": dist}).encode()

    def maven(self, path: str, base: str, content: bytes) -> None:
        """Publish a jar of an old kind, which has only SHA-1."""
        self.pages[f"/maven/{path}/{base}.jar"] = content
        self.pages[f"/maven/{path}/{base}.jar.sha1"] = hashlib.sha1(content, usedforsecurity=False).hexdigest().encode()
        pom = b"<project><licenses><license><name>Apache License, Version 2.0</name></license></licenses></project>"
        self.pages[f"/maven/{path}/{base}.pom"] = pom


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """The server, for the time of a test."""
    found: list[StandIn] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_HEAD(self) -> None:
            self.begun()

        def do_GET(self) -> None:
            found[0].asked.append((self.path, self.headers.get("Authorization", "")))
            self.wfile.write(self.begun())

        def begun(self) -> bytes:
            """Send the head of the answer; gives its body."""
            content = found[0].pages.get(urllib.parse.unquote(self.path))
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("ETag", f'"{sha256(content or b"")}"')
            self.end_headers()
            return content or b""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.append(StandIn(f"http://127.0.0.1:{server.server_port}"))
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield found[0]
        server.shutdown()
