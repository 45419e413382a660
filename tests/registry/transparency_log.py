"""A Rekor log that stands in for the public ones: a real tree, a real signed head, over HTTP, by both of its APIs."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from plimsoll.signing.merkle import inclusion_proof, leaf_hash, tree_root


class TransparencyLog:
    """The log. `alter` changes an answer before it is sent."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.leaves = [leaf_hash(f"older {number}".encode()) for number in range(5)]
        self.alter: Any = lambda answer: answer
        self.url = ""

    @property
    def pem(self) -> bytes:
        return self._public(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self._public(serialization.Encoding.DER)

    def _public(self, encoding: serialization.Encoding) -> bytes:
        return self.private.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, content: bytes) -> bytes:
        return self.private.sign(content, ec.ECDSA(hashes.SHA256()))

    def head(self, origin: str) -> str:
        text = f"{origin}\n{len(self.leaves)}\n{_text(tree_root(self.leaves))}\n"
        signature = hashlib.sha256(self.der).digest()[:4] + self.sign(text.encode())
        return f"{text}\n— {origin.split(' - ', maxsplit=1)[0]} {_text(signature)}\n"

    def add(self, body: bytes) -> int:
        self.leaves.append(leaf_hash(body))
        return len(self.leaves) - 1

    def answer_v2(self, request: Any) -> Any:
        asked = request["hashedRekordRequestV002"]
        data = {"algorithm": "SHA2_256", "digest": asked["digest"]}
        spec = {"hashedRekordV002": {"data": data, "signature": asked["signature"]}}
        body = _canonical({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec})
        index = self.add(body)
        return {
            "logIndex": str(index),
            "logId": {"keyId": _text(hashlib.sha256(self.der).digest())},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "inclusionProof": {
                "logIndex": str(index),
                "rootHash": _text(tree_root(self.leaves)),
                "treeSize": str(len(self.leaves)),
                "hashes": [_text(each) for each in inclusion_proof(self.leaves, index)],
                "checkpoint": {"envelope": self.head("127.0.0.1")},
            },
            "canonicalizedBody": _text(body),
        }

    def answer_v1(self, request: Any) -> Any:
        content = request["spec"]["proposedContent"]
        envelope = json.loads(content["envelope"])
        payload = base64.b64decode(envelope["payload"])
        signature = {"signature": envelope["signatures"][0]["sig"], "verifier": content["verifiers"][0]}
        spec = {
            "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(content["envelope"].encode()).hexdigest()},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [signature],
        }
        body = _canonical({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})
        index = self.add(body)
        stamp = {
            "body": _text(body),
            "integratedTime": 1790000000,
            "logID": hashlib.sha256(self.der).hexdigest(),
            "logIndex": index,
        }
        proof = {
            "checkpoint": self.head("127.0.0.1 - 7"),
            "hashes": [each.hex() for each in inclusion_proof(self.leaves, index)],
            "logIndex": index,
            "rootHash": tree_root(self.leaves).hex(),
            "treeSize": len(self.leaves),
        }
        verification = {"inclusionProof": proof, "signedEntryTimestamp": _text(self.sign(_canonical(stamp)))}
        return {"ab" * 40: {**stamp, "verification": verification}}


@contextmanager
def transparency_log() -> Iterator[TransparencyLog]:
    """A log that runs."""
    log = TransparencyLog()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = log.alter(log.answer_v2(request) if "/v2/" in self.path else log.answer_v1(request))
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(201)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        log.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield log
        server.shutdown()


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
