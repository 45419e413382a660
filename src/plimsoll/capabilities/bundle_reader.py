"""Opens a bundle: its description, whether it is as it was signed, and its verdicts, judged again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.capabilities import checking
from plimsoll.capabilities.facts import ClusterFacts, cluster_facts
from plimsoll.capabilities.records import MalformedRecord
from plimsoll.capabilities.requirements import PROFILES
from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError
from plimsoll.evidence.bundle import MANIFEST, check_seal
from plimsoll.evidence.journal import read_journal
from plimsoll.evidence.observation import Observation
from plimsoll.signing.keys import KeyRing


class Bundle(Struct, frozen=True, kw_only=True):
    """`problems` names every altered file and every verdict that the records do not give.

    `signer` is the id of the key when the key is trusted. `judged` are the verdicts that the records give now. `ended`
    is the signed time of sealing. `facts` is None when there is no inventory.
    """

    path: Path
    profile: str
    description: checking.CheckDescription
    problems: tuple[str, ...]
    signer: str
    ended: str
    judged: tuple[checking.Judged, ...]
    records: Mapping[str, tuple[Observation, ...]]
    facts: ClusterFacts | None

    @property
    def version(self) -> str:
        """The version of the programme whose profile it was judged by, such as 1.37."""
        return self.profile.removeprefix("cncf-")


def is_bundle(path: Path) -> bool:
    """Whether a directory is a bundle, complete or not."""
    return path.is_dir() and ((path / MANIFEST).exists() or (path / checking.DESCRIPTION).exists())


def open_bundle(path: Path, keys: KeyRing) -> Bundle:
    """Read and judge a bundle. Raises PlimsollError when it cannot be judged, or its inventory is malformed."""
    seal = check_seal(path, keys)
    try:
        described = checking.read_description(path)
        written = msgspec.json.decode((path / checking.VERDICTS).read_bytes(), type=list[checking.Judged])
    except (*UNREADABLE, OSError) as error:
        raise PlimsollError(f"the bundle cannot be judged: {error}", where=str(path)) from error
    profile = described.profile
    if profile not in PROFILES:
        raise PlimsollError(f"the bundle is of an unknown profile, '{profile}'", where=str(path / checking.DESCRIPTION))
    judged = checking.verdicts(path, profile, described.only)
    differing = {one.requirement for one in judged if one not in written}
    problems = [f"{checking.VERDICTS}: {name} comes out otherwise from the record" for name in sorted(differing)]
    return Bundle(
        path=path,
        profile=profile,
        description=described,
        problems=(*seal.problems, *problems),
        signer=seal.signer,
        ended=str(seal.predicate.get("ended", "")),
        judged=tuple(judged),
        records={each.requirement: _record(path / checking.PROBES / f"{each.requirement}.jsonl") for each in judged},
        facts=_facts(path / checking.INVENTORY),
    )


def _facts(path: Path) -> ClusterFacts | None:
    try:
        return cluster_facts(inventory) if (inventory := _record(path)) else None
    except MalformedRecord as error:
        raise PlimsollError(f"the inventory is malformed: {error.message}", where=str(path)) from error


def _record(path: Path) -> tuple[Observation, ...]:
    return tuple(read_journal(path)) if path.is_file() else ()
