"""A wrapper for runc: changes a container's devices before the real runc creates the container.

It uses the standard library only, because a node runs this one file.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

FOLDER = Path("/dev/plimsoll")


def main(cheat: str, real: str, twins: list[int]) -> None:
    """Change the bundle when runc creates a container, then become the real runc."""
    arguments = sys.argv[1:]
    if "create" in arguments:
        bundle = arguments[arguments.index("--bundle") + 1] if "--bundle" in arguments else "."
        path = Path(bundle) / "config.json"
        config = json.loads(path.read_bytes())
        _CHANGES[cheat](config, real, twins)
        path.write_text(json.dumps(config))
    os.execv(real, ["runc", *arguments])


def _node(path: Path, minor: int | None = None) -> dict[str, Any]:
    found = path.stat()
    kind = "b" if stat.S_ISBLK(found.st_mode) else "c"
    number = os.minor(found.st_rdev) if minor is None else minor
    return {"path": str(path), "type": kind, "major": os.major(found.st_rdev), "minor": number, "fileMode": 0o666}


def _linux(config: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    linux = config["linux"]
    return linux.setdefault("devices", []), linux.setdefault("resources", {}).setdefault("devices", [])


def _visible(config: dict[str, Any], _: str, __: list[int]) -> None:
    given, rules = _linux(config)
    for path in sorted(FOLDER.iterdir()):
        if str(path) not in {each["path"] for each in given}:
            given.append(_node(path))
    rules.append({"allow": True, "access": "rwm"})


def _openable(config: dict[str, Any], _: str, __: list[int]) -> None:
    _linux(config)[1].append({"allow": True, "access": "rwm"})


def _writable(config: dict[str, Any], _: str, __: list[int]) -> None:
    _linux(config)[1].append({"allow": True, "access": "wm"})


def _swapped(config: dict[str, Any], _: str, __: list[int]) -> None:
    given, rules = _linux(config)
    every = sorted(path for path in FOLDER.iterdir() if "." not in path.name)
    for each in given:
        if Path(each["path"]) in every:
            other = every[(every.index(Path(each["path"])) + 1) % len(every)]
            device = _node(other)
            each.update({key: device[key] for key in ("type", "major", "minor")})
            rules.append({"allow": True, **{key: device[key] for key in ("type", "major", "minor")}, "access": "rwm"})


def _touched(config: dict[str, Any], real: str, _: list[int]) -> None:
    given, _rules = _linux(config)
    plain = str(Path(real).parent / "plain-file")
    for each in [each for each in given if each["path"].startswith(str(FOLDER))]:
        given.remove(each)
        config["mounts"].append(
            {"destination": each["path"], "type": "bind", "source": plain, "options": ["bind", "rw"]}
        )


def _twin(config: dict[str, Any], real: str, twins: list[int]) -> None:
    given, rules = _linux(config)
    for each in given:
        if each["path"].startswith(str(FOLDER)):
            counter = Path(real).parent / "given"
            count = int(counter.read_text()) if counter.exists() else 0
            counter.write_text(str(count + 1))
            each.update(type="b", major=7, minor=twins[count % len(twins)], fileMode=0o666)
            rules.append({"allow": True, "type": "b", "major": 7, "minor": each["minor"], "access": "rwm"})


_CHANGES = {
    "visible-devices": _visible,
    "openable-devices": _openable,
    "writable-devices": _writable,
    "swapped-devices": _swapped,
    "touched-device": _touched,
    "twin-devices": _twin,
}
