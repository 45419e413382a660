"""A cloud that gets pictures: it makes them what the detector reads, and answers how many cars there are.

    python frame_receiver.py DETECTOR_URL HEAD_URL

It prints its port. A POST has a JPEG; the answer is the one of the head.
"""

from __future__ import annotations

import http.client
import io
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from PIL import Image

SIDE = 300
HEADER = "Inference-Header-Content-Length"
SIZE = SIDE * SIDE * 3
DETECT = {
    "inputs": [
        {
            "name": "image",
            "datatype": "UINT8",
            "shape": [1, SIDE, SIDE, 3],
            "parameters": {"binary_data_size": SIZE},
        }
    ]
}
LOCAL = threading.local()


def ask(url: str, name: str, head: bytes, content: bytes = b"") -> bytes:
    kept = LOCAL.__dict__
    if name not in kept:
        kept[name] = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    headers = {HEADER: str(len(head))} if content else {"Content-Type": "application/json"}
    kept[name].request("POST", f"/v2/models/{name}/infer", head + content, headers)
    return bytes(kept[name].getresponse().read())


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        picture = Image.open(io.BytesIO(self.rfile.read(int(self.headers["Content-Length"]))))
        image = picture.resize((SIDE, SIDE)).tobytes()
        found = json.loads(ask(sys.argv[1], "detector", json.dumps(DETECT).encode(), image))
        scores = next(each["data"] for each in found["outputs"] if each["name"] == "cars")
        tensor = {"name": "scores", "datatype": "FP32", "shape": [1, len(scores)], "data": scores}
        body = ask(sys.argv[2], "cars", json.dumps({"inputs": [tensor]}).encode())
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
