"""The accelerators of a node: loop block devices of the host, each with an identity, visible to one node."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

from lab.commands import run
from lab.errors import LabError
from lab.files import write
from lab.layout import Node

MEMORY = 64 << 20
MODEL = "Plimsoll L1"
DRIVER_VERSION = "1.2.0"
# How the driver offers each device of a node. It reads this from the device. See components/programs/accelerator.
OFFERS = ("plugin", "plugin", "plugin-shared", "claim", "claim", "claim-shared")
_HALVED = "claim"
_HEADER = 4096
# Random bytes, so that devices differ beyond their first block too.
_NOISE = 64 << 10
_LOOP_MAJOR = 7
_MODE = 0o666


def folder(node: Node) -> Path:
    """The folder of the files behind a node's devices. The node sees it as /var/lib/accelerators."""
    return node.folder / "accelerators"


def ensure(node: Node) -> tuple[dict[str, Any], ...]:
    """Creates and attaches the node's devices. Returns them as the devices of its machine."""
    found: list[dict[str, Any]] = []
    for number, offer in enumerate(OFFERS):
        file = folder(node) / f"accelerator{number}.memory"
        if not file.exists():
            write(file, _identity_block(node, offer))
        os.truncate(file, MEMORY)
        found.append(_device(f"accelerator{number}", _attach_loop_device(file, 0, MEMORY)))
        if offer == _HALVED:
            half = MEMORY // 2
            for part in (0, 1):
                found.append(_device(f"accelerator{number}.{part}", _attach_loop_device(file, part * half, half)))
    return tuple(found)


def _identity_block(node: Node, offer: str) -> bytes:
    identity = {
        "uuid": f"ACC-{uuid.uuid4()}",
        "model": MODEL,
        "memory": MEMORY,
        "driver": DRIVER_VERSION,
        "rack": node.rack,
        "offer": offer,
    }
    return json.dumps(identity).encode().ljust(_HEADER, b"\0") + os.urandom(_NOISE)


def _attach_loop_device(file: Path, offset: int, size: int) -> int:
    """The minor number of the loop device for this part of `file`; attaches one if there is none."""
    listed = run("losetup", "--json", "--list", "--output=NAME,OFFSET,SIZELIMIT", f"--associated={file}")
    for each in json.loads(listed)["loopdevices"] if listed.strip() else []:
        if int(each["offset"]) == offset and int(each["sizelimit"]) in (size, 0):
            return _minor(each["name"])
    limit = ("--offset", str(offset), "--sizelimit", str(size))
    return _minor(run("losetup", "--find", "--show", *limit, str(file)).strip())


def _minor(path: str) -> int:
    if not path.startswith("/dev/loop"):
        raise LabError(f"losetup printed '{path}', which is not a loop device")
    return int(path.removeprefix("/dev/loop"))


def _device(name: str, minor: int) -> dict[str, Any]:
    return {"path": f"/dev/plimsoll/{name}", "block": True, "major": _LOOP_MAJOR, "minor": minor, "mode": _MODE}


def detach(node: Node) -> None:
    """Detaches the node's devices; their files stay."""
    for line in run("losetup", "--list", "--noheadings", "--output=NAME,BACK-FILE").splitlines():
        name, _, file = line.partition(" ")
        if Path(file.strip().removesuffix(" (deleted)")).is_relative_to(folder(node)):
            run("losetup", "--detach", name)
