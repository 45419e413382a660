"""The application file: read, checked and planned, with everything that it names."""

from __future__ import annotations

from pathlib import Path
from random import Random

import yaml

from benchmarks.hardening.mutation import mutated
from benchmarks.measuring import ROOT

SMALL = b"""\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: small}
spec:
  datasets:
    orders: {source: orders.csv}
    features: {run: python prepare.py, inputs: [orders], outputs: [train.parquet]}
  models:
    triage:
      train: {run: python train.py, inputs: [features], workers: 2, resources: {cpu: 1, memory: 1Gi}}
      accept: {accuracy: ">= 0.9"}
  services:
    triage: {model: triage}
  batches:
    backlog: {model: triage, input: features/train.parquet}
"""
INSIDE = (b"plimsoll.dev/v1", b"features/")
"""The slashes that may stand in a file whose paths are looked at: no path leaves the directory."""


class FileArea:
    """Changes of two files by bytes and by lines."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "application"
        self._directory.mkdir()
        for name in ("orders.csv", "train.py", "prepare.py", "requirements.txt"):
            (self._directory / name).write_text("")
        self._seeds = (SMALL, (ROOT / "examples" / "maintenance" / "plimsoll.yaml").read_bytes())

    def made(self, random: Random) -> bytes:
        """A changed file."""
        raw = random.choice(self._seeds)
        if random.random() < 0.5:
            lines = raw.splitlines(keepends=True)
            at, other = random.randrange(len(lines)), random.randrange(len(lines))
            lines[at] = random.choice((b"", lines[other], lines[at] * 2, b"  " + lines[at], lines[at].lstrip()))
            raw = b"".join(lines)
        return mutated(random, raw) if random.random() < 0.8 else raw

    def attempt(self, raw: bytes) -> str | None:
        """Load, check and plan it; what was loaded is compared with what another reader finds."""
        from plimsoll.kinds.table import KINDS
        from plimsoll.planning.facts import TargetFacts

        path = self._directory / "plimsoll.yaml"
        path.write_bytes(raw)
        file = KINDS.load(path)
        read = yaml.load(raw, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        if file.application.name != read["metadata"]["name"]:
            return "another name than the file has"
        sections = {kind.key: set(kind.of(file.application)) for kind in KINDS}
        if any(names != set(read["spec"].get(key) or ()) for key, names in sections.items()):
            return "other parts than the file has"
        KINDS.check(file)
        for inside in INSIDE:
            raw = raw.replace(inside, b"")
        if b"/" in raw or b".." in raw or b"~" in raw:
            return None
        workspace = KINDS.workspace(file, self._directory / "digests")
        KINDS.plan(file, workspace, TargetFacts(target="local", cpu=2, memory=4 << 30))
        return None
