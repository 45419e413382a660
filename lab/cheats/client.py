"""An API client for a cheat's process, which sends many requests: one connection, JSON in and out."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from lab import layout
from lab.control_plane import identities


class Client:
    """Sends requests as the administrator, from inside the control plane's network or a node's."""

    def __init__(self) -> None:
        config = json.loads((identities.FOLDER / "admin.kubeconfig").read_text())
        user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile(dir=layout.FOLDER) as file:
            for key in ("client-certificate-data", "client-key-data"):
                file.write(base64.b64decode(user[key]))
            file.flush()
            context.load_cert_chain(file.name)
        server = urlsplit(identities.SERVER)
        self._connection = HTTPSConnection(str(server.hostname), server.port, context=context, timeout=10)

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/merge-patch+json") -> Any:
        """The decoded response; None after an error of the connection or the server."""
        headers = {"Content-Type": kind if method == "PATCH" else "application/json"}
        try:
            self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (HTTPException, OSError):
            self._connection.close()
            return None
        return json.loads(content) if answer.status < 300 else None

    def items(self, path: str) -> list[dict[str, Any]]:
        """The items of a list; empty after an error."""
        found: list[dict[str, Any]] = (self.ask("GET", path) or {}).get("items") or []
        return found


def again_and_again(step: Callable[[Client], None], pause: float = 0.3) -> None:
    """Repeat a step until the process is killed. `pause` is in seconds."""
    client = Client()
    while True:
        step(client)
        time.sleep(pause)
