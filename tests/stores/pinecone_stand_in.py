"""An index of Pinecone as its HTTP API is documented (2025-10): upsert, query, fetch, delete and statistics.

It refuses what the documented limits refuse, and counts what was put in later than it takes it, when it is told to.
"""

from __future__ import annotations

import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

KEY = "pcsk_0123456789"


class PineconeStandIn:
    def __init__(self, dimension: int, metric: str = "dotproduct") -> None:
        self.dimension, self.metric = dimension, metric
        self.spaces: dict[str, dict[str, dict[str, Any]]] = {}
        self.uncounted = 0
        """Answers of statistics that know nothing yet of what was put in."""
        self.answers: list[tuple[int, bytes]] = []
        """What it answers instead, once each."""
        self.asked: list[str] = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                self._answer(lambda: stand_in.post(self.path, body))

            def do_GET(self) -> None:
                parts = urllib.parse.urlsplit(self.path)
                self._answer(lambda: stand_in.fetch(urllib.parse.parse_qs(parts.query)))

            def _answer(self, work: Any) -> None:
                stand_in.asked.append(self.path.partition("?")[0])
                if stand_in.answers:
                    status, body = stand_in.answers.pop(0)
                elif self.headers.get("api-key") != KEY or not self.headers.get("x-pinecone-api-version"):
                    status, body = 401, b"Unauthorized"
                else:
                    status, found = work()
                    body = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def post(self, path: str, body: bytes) -> tuple[int, object]:
        asked = json.loads(body)
        if len(body) > 2 << 20:
            return _wrong("the message length is too large")
        acts = {
            "/vectors/upsert": self.upsert,
            "/query": self.query,
            "/vectors/delete": self.delete,
            "/describe_index_stats": self.stats,
        }
        return acts[path](asked) if path in acts else (404, {"code": 5, "message": "not found"})

    def upsert(self, asked: dict[str, Any]) -> tuple[int, object]:
        if len(asked["vectors"]) > 1000:
            return _wrong("more than 1000 vectors")
        for each in asked["vectors"]:
            if len(each["values"]) != self.dimension or not any(each["values"]):
                return _wrong("Dense vectors must contain at least one non-zero value")
        space = self.spaces.setdefault(asked["namespace"], {})
        space.update({each["id"]: each for each in asked["vectors"]})
        return 200, {"upsertedCount": len(asked["vectors"])}

    def query(self, asked: dict[str, Any]) -> tuple[int, object]:
        vector = np.asarray(asked["vector"], dtype=np.float32)
        if len(vector) != self.dimension or not 1 <= asked["topK"] <= 10_000:
            return _wrong("Vector dimension does not match the dimension of the index")
        found = [
            {**each, "score": float(np.asarray(each["values"], dtype=np.float32) @ vector)}
            for each in self.spaces.get(asked["namespace"], {}).values()
            if all(_admits(rule, each["metadata"].get(name)) for name, rule in asked["filter"].items())
        ]
        found.sort(key=lambda each: -each["score"])
        return 200, {"matches": found[: asked["topK"]], "namespace": asked["namespace"], "usage": {"readUnits": 1}}

    def fetch(self, asked: dict[str, list[str]]) -> tuple[int, object]:
        [name] = asked["namespace"]
        space = self.spaces.get(name, {})
        return 200, {"vectors": {each: space[each] for each in asked["ids"] if each in space}, "namespace": name}

    def delete(self, asked: dict[str, Any]) -> tuple[int, object]:
        if asked["namespace"] not in self.spaces:
            return 404, {"code": 5, "message": "Namespace not found"}
        if asked.get("deleteAll"):
            del self.spaces[asked["namespace"]]
        else:
            for each in asked["ids"]:
                self.spaces[asked["namespace"]].pop(each, None)
        return 200, {}

    def stats(self, asked: dict[str, Any]) -> tuple[int, object]:
        seen = {} if self.uncounted else {name: {"vectorCount": len(space)} for name, space in self.spaces.items()}
        self.uncounted = max(0, self.uncounted - 1)
        return 200, {"namespaces": seen, "dimension": self.dimension, "metric": self.metric, "vectorType": "dense"}


def _admits(rule: dict[str, list[object]], value: object) -> bool:
    [(word, values)] = rule.items()
    return (value in values) == (word == "$in")


def _wrong(message: str) -> tuple[int, object]:
    return 400, {"code": 3, "message": message, "details": []}
