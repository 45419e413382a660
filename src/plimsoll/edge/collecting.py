"""Logs of devices, fetched by the owner: each file once, verified against the device's key."""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from msgspec import Struct

from plimsoll.edge.documents import LOG, Device, LogFile
from plimsoll.edge.envelopes import unseal
from plimsoll.edge.place import MAX_CONTENT, EdgePlace, is_name, log_tag, logs_of
from plimsoll.errors import ModelRefused
from plimsoll.files import replace_file
from plimsoll.registry.references import Reference
from plimsoll.signing.keys import OneKey

MOST_FILES = 10_000
"""Files of one device in one call: how many there are is what the device says."""


class Collected(Struct, frozen=True, kw_only=True):
    """What came of one device: files, lines, and the numbers that the device has dropped or nobody can use."""

    device: str
    files: int = 0
    lines: int = 0
    missing: tuple[int, ...] = ()
    refused: tuple[str, ...] = ()


def collect_logs(place: Reference, group: str, device: Device, output: Path) -> Collected:
    """Write what is new of a device's logs to `output/DEVICE/NUMBER-SERVICE-LOG.jsonl`. Raises RegistryError."""
    directory = output / device.name
    directory.mkdir(parents=True, exist_ok=True)
    done = {int(path.name.partition("-")[0]) for path in directory.glob("*.jsonl") if path.name[:10].isdigit()}
    newest, held = (device.report.logged, device.report.held) if device.report else (0, ())
    logs = EdgePlace(logs_of(place, device.name))
    files = lines = 0
    missing, refused = [], []
    try:
        new = (each for each in range(1, newest + 1) if each not in done and not _held(each, held))
        for number in islice(new, MOST_FILES):
            try:
                envelope = logs.read(log_tag(number))
                if envelope is None:
                    missing.append(number)
                    continue
                name = f"{group}/{device.name}/log/{number}"
                about, _ = unseal(envelope, name, LOG, LogFile, OneKey(device.key))
                lines += _write(logs, number, about, directory)
                files += 1
            except ModelRefused as error:
                refused.append(f"{number}: {error.message}")
    finally:
        logs.close()
    return Collected(device=device.name, files=files, lines=lines, missing=tuple(missing), refused=tuple(refused[:10]))


def _held(number: int, held: Sequence[tuple[int, int]]) -> bool:
    """Whether a file still waits on the device, and comes later."""
    return any(first <= number <= last for first, last in held)


def _write(logs: EdgePlace, number: int, about: LogFile, directory: Path) -> int:
    """Write one file, and give the number of its lines. Raises ModelRefused."""
    if not (is_name(about.service) and about.log in {"access", "audit"} and about.number == number):
        raise ModelRefused("the file has a name that no device gives")
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        file = Path(temporary) / "packed"
        logs.fetch(log_tag(number), about.digest, file)
        content = _unpacked(file)
    replace_file(directory / f"{number:010d}-{about.service}-{about.log}.jsonl", content)
    return content.count(b"\n")


def _unpacked(file: Path) -> bytes:
    """The lines of a packed file, which are counted before they are kept. Raises ModelRefused."""
    try:
        with gzip.open(file) as packed:
            content = packed.read(MAX_CONTENT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ModelRefused(f"the file cannot be unpacked: {error}") from error
    if len(content) > MAX_CONTENT:
        raise ModelRefused(f"the file has more than {MAX_CONTENT} bytes when it is unpacked")
    return content
