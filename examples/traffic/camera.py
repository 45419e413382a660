"""A camera on a device: each frame goes to the detector beside it, and the scores of its cars to the head that counts.

    python camera.py .plimsoll/devices/north frames.rgb

It prints a line of JSON for each frame: its number in the video, cars, whether it is a jam, and milliseconds. The
detector gets the bytes of an image as they are, which is the binary extension of the Open Inference Protocol.
"""

from __future__ import annotations

import argparse
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

SIDE = 300
SIZE = SIDE * SIDE * 3
EVERY = 5  # frames of the video from one frame here to the next
LIMIT = 60.0
HEADER = "Inference-Header-Content-Length"


class Service:
    """One service of the device, over a connection that stays open."""

    def __init__(self, device: Path, name: str) -> None:
        try:
            url = json.loads((device / "services" / name / "ready.json").read_text())["url"]
        except FileNotFoundError:
            raise SystemExit(f"the device in {device} does not serve {name}: is its agent up?") from None
        self._path = f"/v2/models/{name}/infer"
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=LIMIT)

    def ask(self, request: dict[str, object], content: bytes = b"") -> dict[str, list[float]]:
        """The outputs by name. Raises SystemExit for a refusal."""
        head = json.dumps(request).encode()
        headers = {HEADER: str(len(head))} if content else {"Content-Type": "application/json"}
        self._connection.request("POST", self._path, head + content, headers)
        answer = self._connection.getresponse()
        told = json.loads(answer.read())
        if answer.status != 200:
            raise SystemExit(f"{self._path}: {answer.status} {told}")
        return {each["name"]: each["data"] for each in told["outputs"]}


def frames(path: Path, light: float) -> Iterator[tuple[int, bytes]]:
    """Each frame with its number in the video. A `light` of less than 1 makes it darker, as at dusk."""
    darker = bytes(round(each * light) for each in range(256))
    with path.open("rb") as file:
        number = 0
        while len(image := file.read(SIZE)) == SIZE:
            yield number, image if light == 1 else image.translate(darker)
            number += EVERY


def watch(device: Path, images: Iterator[tuple[int, bytes]]) -> Iterator[dict[str, float]]:
    """What is on each frame. The request of the head has the device's name and the frame's number as its id."""
    detector, head = Service(device, "detector"), Service(device, "cars")
    image = {"name": "image", "datatype": "UINT8", "shape": [1, SIDE, SIDE, 3]}
    for number, content in images:
        began = time.perf_counter()
        found = detector.ask({"inputs": [{**image, "parameters": {"binary_data_size": SIZE}}]}, content)
        scores = {"name": "scores", "datatype": "FP32", "shape": [1, 16], "data": found["cars"]}
        counted = head.ask({"id": f"{device.name}-{number}", "inputs": [scores]})
        took = 1000 * (time.perf_counter() - began)
        yield {"frame": number, "cars": counted["count"][0], "jam": counted["jam"][1] > 0.5, "ms": round(took, 1)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("device", type=Path)
    parser.add_argument("frames", type=Path)
    parser.add_argument("--light", type=float, default=1.0)
    given = parser.parse_args()
    for told in watch(given.device, frames(given.frames, given.light)):
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
