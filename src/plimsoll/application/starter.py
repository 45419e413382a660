"""The starter application that `plimsoll init` writes."""

from __future__ import annotations

import random
import re
from importlib import resources
from pathlib import Path

from plimsoll.application.scalars import NAME_PATTERN
from plimsoll.errors import FileError

FILES = ("plimsoll.yaml", "requirements.txt", "prepare.py", "train.py")
DATA = "measurements.csv"
EXTRAS = ("serve",)
"""What the starter's service and batch need."""
ROWS = 600


def write_starter(directory: Path, name: str) -> list[Path]:
    """Write the starter's files and return their paths. Raises FileError when a file already exists."""
    if not re.search(NAME_PATTERN, name):
        hint = "use lower-case letters, digits and '-', for example plimsoll init work-orders"
        raise FileError(f"'{name}' is not a valid application name", where=str(directory), hint=hint)
    existing = [file for file in (*FILES, DATA) if (directory / file).exists()]
    if existing:
        raise FileError(
            f"already exists: {', '.join(existing)}",
            where=str(directory),
            hint="choose a new directory: plimsoll init NAME",
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        written = []
        for file in FILES:
            text = resources.files("plimsoll.application.starter_files").joinpath(file).read_text(encoding="utf-8")
            path = directory / file
            path.write_text(text.replace("NAME", name) if file == "plimsoll.yaml" else text, encoding="utf-8")
            written.append(path)
        (directory / DATA).write_text(measurements(), encoding="ascii")
    except OSError as error:
        raise FileError(f"cannot write the files: {error.strerror}", where=str(error.filename or directory)) from error
    return [*written, directory / DATA]


def measurements() -> str:
    """Synthetic measurements of pumps: worn pumps vibrate more and run hotter. Every call returns the same text."""
    chance = random.Random(7)  # noqa: S311 - data, not secrets
    lines = ["id,hour,vibration,temperature,pressure,worn"]
    for number in range(ROWS):
        worn = chance.random() < 0.35
        vibration = chance.gauss(4.0 if worn else 2.4, 0.9)
        temperature = chance.gauss(72 if worn else 61, 6)
        pressure = chance.gauss(3.0, 0.4)
        lines.append(f"pump-{number:04d},{number:05d},{vibration:.3f},{temperature:.2f},{pressure:.3f},{int(worn)}")
    return "\n".join(lines) + "\n"
