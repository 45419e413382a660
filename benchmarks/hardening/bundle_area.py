"""Evidence bundles: a changed one must not be confirmed, one that is signed with changed records must be judged."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from random import Random

import click

from benchmarks.hardening.mutation import mutated, mutated_json

WAYS = ("replace", "replace", "replace", "signed", "signed", "signed", "delete", "add", "link", "fifo", "directory")


class BundleArea:
    """An input is a line of JSON (`way`, `name`) and the content of the file of this name."""

    def __init__(self, directory: Path) -> None:
        from plimsoll.signing.keys import KeyRing
        from tests.capabilities.bundled import bundle_of

        # `verify` finds the same ring, as the worker's home is the directory.
        os.environ["XDG_CONFIG_HOME"] = str(directory)
        self._keys = KeyRing.default()
        self._whole = bundle_of(directory / "whole", self._keys)
        self._bundle = directory / "bundle"
        self._names = sorted(
            path.relative_to(self._whole).as_posix() for path in self._whole.rglob("*") if path.is_file()
        )

    def made(self, random: Random) -> bytes:
        """A change of one file."""
        way, name = random.choice(WAYS), random.choice(self._names)
        content = (self._whole / name).read_bytes()
        if way == "replace":
            content = mutated(random, content)
        elif way == "signed":
            lines = content.splitlines(keepends=True)
            at = random.randrange(len(lines))
            try:
                lines[at] = mutated_json(random, json.loads(lines[at])) + b"\n"
            except ValueError:
                lines[at] = mutated(random, lines[at])
            content = b"".join(lines)
        elif way in {"add", "fifo", "directory"}:
            name = random.choice(("x", "probes/x.jsonl", "probes/x\n.jsonl", ".x", "\u202e"))
        return json.dumps({"way": way, "name": name}).encode() + b"\n" + content

    def attempt(self, raw: bytes) -> str | None:
        """Verify the changed bundle."""
        from plimsoll.cli.verbs.verify import command

        first, _, content = raw.partition(b"\n")
        about = json.loads(first)
        changed = self._change(about["way"], about["name"], content)
        try:
            status = command.main([str(self._bundle)], standalone_mode=False)
        except click.ClickException:
            return None
        if changed and status == 0 and about["way"] != "signed":
            return f"it is confirmed after: {about['way']}"
        if not changed and status != 0:
            return "it is not confirmed, and nothing was changed"
        return None

    def _change(self, way: str, name: str, content: bytes) -> bool:
        """Make the changed bundle; whether it differs."""
        shutil.rmtree(self._bundle, ignore_errors=True)
        shutil.copytree(self._whole, self._bundle)
        path = self._bundle / name
        before = path.read_bytes() if path.is_file() else None
        if way in {"delete", "link"}:
            path.unlink()
        if way == "link":
            path.symlink_to(self._whole / name)
        elif way == "fifo":
            os.mkfifo(path)
        elif way == "directory":
            path.mkdir()
        elif way != "delete":
            path.write_bytes(content)
        if way == "signed":
            self._sign()
        return way not in {"replace", "signed"} or content != before

    def _sign(self) -> None:
        from plimsoll.evidence.bundle import seal

        seal(self._bundle, {"profile": "cncf-1.37"}, self._keys)
