"""A sealed bundle made from the records of a real check."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from plimsoll import __version__
from plimsoll.capabilities import checking
from plimsoll.capabilities.facts import cluster_facts
from plimsoll.capabilities.requirements import profile
from plimsoll.evidence.bundle import seal
from plimsoll.evidence.journal import read_journal
from plimsoll.signing.keys import KeyRing

from .recorded import FOLDER, Record


def bundle_of(
    directory: Path, keys: KeyRing, name: str = "cncf-1.37", changes: Mapping[str, Record | None] | None = None
) -> Path:
    """Write and seal a bundle. `changes` replaces a requirement's record, or with None leaves it out."""
    (directory / checking.PROBES).mkdir(parents=True)
    changes = changes or {}
    inventory = (FOLDER / checking.INVENTORY).read_bytes()
    (directory / checking.INVENTORY).write_bytes(inventory)
    for requirement in profile(name):
        if requirement in changes:
            record = changes[requirement]
            content = b"".join(msgspec.json.encode(each) + b"\n" for each in record or ())
        elif (FOLDER / f"{requirement}.jsonl").is_file():
            record, content = (), (FOLDER / f"{requirement}.jsonl").read_bytes()
        else:
            continue
        if record is not None:
            (directory / checking.PROBES / f"{requirement}.jsonl").write_bytes(content)
    found = cluster_facts(tuple(read_journal(directory / checking.INVENTORY)))
    description = {"tool": f"plimsoll {__version__}", "run": "56ed1604", "profile": name, "only": [], "target": "lab"}
    description |= {"cluster": found.cluster, "version": found.version, "began": datetime.now(UTC).isoformat()}
    (directory / "check.json").write_bytes(msgspec.json.encode(description))
    judged = checking.verdicts(directory, name)
    (directory / checking.VERDICTS).write_bytes(msgspec.json.encode(judged))
    seal(directory, {"profile": name, "cluster": found.cluster, "ended": datetime.now(UTC).isoformat()}, keys)
    return directory
