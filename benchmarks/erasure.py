"""How long it takes to erase a person from a table, models and an index, and that no file has them afterwards."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import verdict

LIMIT = 60.0
"""Seconds."""
PERSON = "holder-4711-of-many"
PREPARE = """\
import os, pathlib, shutil
output = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
shutil.copy(os.environ["PLIMSOLL_INPUT_PEOPLE"], output / "rows.csv")
"""
TRAIN = """\
import os, pathlib
rows = (pathlib.Path(os.environ["PLIMSOLL_INPUT_FEATURES"]) / "rows.csv").read_bytes()
(pathlib.Path(os.environ["PLIMSOLL_OUTPUT"]) / "model.onnx").write_bytes(b"m" * 1000 + str(len(rows)).encode())
"""


def measure(rows: int, models: int) -> bool:
    """Run an application, erase one person of it, and search all of its files."""
    print(f"trust: one person erased from {rows:,} rows, {models} models and an index")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        _write(directory, rows, models)
        _plimsoll(directory, "run")
        began = time.monotonic()
        _plimsoll(directory, "erase", "--subject", PERSON, "--sources")
        seconds = time.monotonic() - began
        left = sorted({str(path.relative_to(directory)) for path in _holding(directory)})
        certificate = next((directory / ".plimsoll/erasures").glob("*/certificate.dsse.json"))
        _plimsoll(directory, "erase", "--verify", str(certificate))
        _plimsoll(directory, "run")
    fast = verdict("a person erased", seconds, LIMIT, "s")
    gone = verdict("files that have the person afterwards", float(len(left)), 0.0, "files")
    for each in left:
        print(f"    {each}")
    return fast and gone


def _write(directory: Path, rows: int, models: int) -> None:
    with (directory / "people.csv").open("w") as file:
        file.write("card,amount,note\n")
        for number in range(rows):
            card = PERSON if number % max(1, rows // 100) == 7 else f"holder-{number % 90_000}"
            file.write(f"{card},{number % 997},paid at shop {number % 313} on day {number % 365}\n")
    parts = "".join(
        f"    m{number}: {{train: {{run: python train.py, inputs: [features]}}}}\n" for number in range(models)
    )
    (directory / "prepare.py").write_text(PREPARE)
    (directory / "train.py").write_text(TRAIN)
    (directory / "plimsoll.yaml").write_text(
        "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: erasure}\nspec:\n"
        "  datasets:\n    people: {source: people.csv, subject: card}\n"
        "    features: {run: python prepare.py, inputs: [people], outputs: [rows.csv]}\n"
        f"  models:\n{parts}"
        "  indexes:\n    notes: {documents: people, text: note, metadata: [card]}\n"
    )


def _plimsoll(directory: Path, *words: str) -> None:
    environment = {**os.environ, "XDG_CONFIG_HOME": str(directory / ".config")}
    ended = subprocess.run(
        [sys.executable, "-m", "plimsoll", *words],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise SystemExit(f"plimsoll {' '.join(words)}: {ended.stdout}{ended.stderr}")


def _holding(directory: Path) -> Iterator[Path]:
    """Files that have the person in their bytes, also packed ones."""
    needles = [PERSON.encode(), PERSON.encode("utf-16-le"), PERSON.encode("utf-32-le")]
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            packed = [content]
            if content.startswith(b"\x1f\x8b"):
                packed.append(gzip.decompress(content))
            if content.startswith(b"PK\x03\x04"):
                with zipfile.ZipFile(path) as archive:
                    packed += [archive.read(each) for each in archive.namelist()]
            if any(needle in each for each in packed for needle in needles):
                yield path
