"""The node service of an autoscaler's provider: HTTP on a socket that only root can open.

POST /nodes {"labels": {...}, "taints": [...]}, GET /nodes, GET /nodes/NAME, DELETE /nodes/NAME. POST answers at once,
as a cloud does. The node exists in Kubernetes when its kubelet has registered.
"""

from __future__ import annotations

import json
import socketserver
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from lab import layout, nodes
from lab.errors import LabError
from lab.layout import Node

GROUP = "elastic"
SOCKET = layout.FOLDER / "nodes.sock"
_changes = threading.Lock()


class _NodeHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Returns one node, or all nodes of the group."""
        name = self._name()
        if name:
            self._answer(_as_json(_elastic_node(name)))
        else:
            self._answer([_as_json(node) for node in nodes.all_nodes() if node.group == GROUP])

    def do_POST(self) -> None:
        """Starts a node."""
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with _changes:
            node = Node(nodes.next_number(), GROUP)
            nodes.start(node, wanted["labels"], wanted["taints"])
        # The import of images runs while the kubelet registers.
        threading.Thread(target=nodes.import_images, args=(node,), daemon=True).start()
        self._answer(_as_json(node))

    def do_DELETE(self) -> None:
        """Stops a node and removes its disk. The autoscaler itself deletes the node's object."""
        with _changes:
            nodes.remove_machine(_elastic_node(self._name()))
        self._answer({})

    def handle_one_request(self) -> None:
        """Answers a failed request with an error and keeps serving, as an autoscaler retries."""
        try:
            super().handle_one_request()
        except _UnknownNodeError as error:
            self._answer({"error": str(error)}, 404)
        except LabError as error:
            self._answer({"error": str(error)}, 500)
        except Exception as error:  # noqa: BLE001  # one failed request must not end the service; the traceback is in the log
            traceback.print_exc()
            self._answer({"error": str(error)}, 500)

    def _name(self) -> str:
        return self.path.removeprefix("/nodes").strip("/")

    def _answer(self, content: Any, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        """The client in the log. Clients of a socket file have no address."""
        return "local"


class _UnknownNodeError(LabError):
    """The group has no node of that name."""


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def _elastic_node(name: str) -> Node:
    for node in nodes.all_nodes():
        if node.name == name and node.group == GROUP:
            return node
    raise _UnknownNodeError(f"the group '{GROUP}' has no node '{name}'")


def _as_json(node: Node) -> dict[str, Any]:
    registration = json.loads((node.folder / "registration.json").read_bytes())
    return {"name": node.name, "labels": registration["labels"]}


def serve(path: Path) -> None:
    """Serves requests until the process is killed."""
    path.unlink(missing_ok=True)
    with _UnixServer(str(path), _NodeHandler) as server:
        path.chmod(0o600)
        server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
