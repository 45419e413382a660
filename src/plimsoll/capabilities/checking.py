"""A check from its inventory to its sealed bundle, and the verdicts of a bundle."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll import __version__
from plimsoll.capabilities import inventory
from plimsoll.capabilities.check_settings import CheckSettings
from plimsoll.capabilities.cleaning import clean
from plimsoll.capabilities.facts import ClusterFacts, cluster_facts
from plimsoll.capabilities.probe import ROOMS, Probe, judge, probe_of
from plimsoll.capabilities.probe_runner import ProbeRunner, Tell
from plimsoll.capabilities.records import (
    BrokeOff,
    CheckRecord,
    Decided,
    EndRecord,
    MalformedRecord,
    ProbeEnded,
    decode,
    observation_of,
)
from plimsoll.capabilities.requirements import MUST, profile
from plimsoll.decoding import decodable
from plimsoll.errors import FileError
from plimsoll.evidence.bundle import seal
from plimsoll.evidence.journal import Journal, read_journal
from plimsoll.evidence.verdict import Outcome, Verdict, skipped, unknown
from plimsoll.files import replace_file
from plimsoll.kubernetes.api import Api
from plimsoll.signing.keys import KeyRing

TIMEOUT = 1800.0
"""Seconds for all probes together, unless the user sets another limit."""
INVENTORY, PROBES, VERDICTS, DESCRIPTION = "inventory.jsonl", "probes", "verdicts.json", "check.json"


@decodable
class Judged(Struct, frozen=True, kw_only=True):
    """A requirement with its level in the profile and its verdict."""

    requirement: str
    level: str
    verdict: Verdict


@decodable
class CheckPlan(Struct, frozen=True, kw_only=True):
    """The user's choices: `only` is empty for the whole profile, `timeout` is in seconds for all probes together."""

    profile: str
    only: tuple[str, ...] = ()
    images: str = ""
    timeout: float = TIMEOUT


@decodable
class CheckDescription(Struct, frozen=True, kw_only=True):
    """The description of a check in its bundle, `check.json`: the plan, the cluster, and the label of the run."""

    tool: str = ""
    run: str = ""
    profile: str
    only: tuple[str, ...]
    images: str = ""
    timeout: float = TIMEOUT
    target: str = ""
    cluster: str = ""
    version: str = ""
    began: str = ""

    @property
    def plan(self) -> CheckPlan:
        """What the user chose."""
        return CheckPlan(profile=self.profile, only=self.only, images=self.images, timeout=self.timeout)


def read_description(directory: Path) -> CheckDescription:
    """The description of a bundle. Raises OSError when there is none, msgspec.DecodeError when it is malformed."""
    return msgspec.json.decode((directory / DESCRIPTION).read_bytes(), type=CheckDescription)


def take_inventory(api: Api, directory: Path) -> ClusterFacts:
    """Read what the cluster has and write it into the bundle."""
    with Journal(directory / INVENTORY) as journal:

        def write(records: Sequence[CheckRecord]) -> None:
            journal.extend(observation_of(inventory.SUBJECT, each) for each in records)

        inventory.take_inventory(api, write)
    return cluster_facts(tuple(read_journal(directory / INVENTORY)))


def resume_check(api: Api, directory: Path) -> tuple[CheckPlan, ClusterFacts]:
    """The plan and the inventory of a check that was broken off.

    Records of probes that came to their end are kept. The records of the others, and everything they created, are
    deleted. Raises FileError when the directory has no check to resume, or a check of another cluster.
    """
    if (directory / VERDICTS).exists():
        raise FileError("this check is complete", where=str(directory), hint="plimsoll verify judges it again")
    try:
        described = read_description(directory)
        found = cluster_facts(tuple(read_journal(directory / INVENTORY)))
    except (OSError, ValueError, MalformedRecord) as error:
        raise FileError(f"there is no check to resume: {error}", where=str(directory)) from error
    uid = api.get("v1", "Namespace", "kube-system")["metadata"]["uid"]
    if uid != found.cluster:
        raise FileError(f"this check is of the cluster {found.cluster}, not of {uid}", where=str(directory))
    clean(api, described.run)
    for path in (directory / PROBES).glob("*.jsonl"):
        if not _is_complete(path):
            path.unlink()
    return described.plan, found


def _is_complete(path: Path) -> bool:
    try:
        record = decode(read_journal(path), EndRecord)
    except MalformedRecord:
        return False
    return record.first(BrokeOff) is None and bool(record.all(ProbeEnded) or record.all(Decided))


def check(api: Api, plan: CheckPlan, facts: ClusterFacts, directory: Path, tell: Tell) -> list[Judged]:
    """Run the probes, judge them, and seal the bundle. `tell` is called with a requirement and what happens to it.

    Raises TargetError, before anything runs, when the bundle could not be signed.
    """
    keys = KeyRing.default()
    keys.require_usable()
    settings = CheckSettings(
        run=secrets.token_hex(4),
        images=plan.images,
        deadline=time.monotonic() + plan.timeout,
        patience=max(1.0, plan.timeout / TIMEOUT),
    )
    description = _description(api, plan, facts, settings.run)
    replace_file(directory / DESCRIPTION, msgspec.json.encode(description))
    probes = _probes_to_run(plan, directory)
    runner = ProbeRunner(api, settings, facts, directory, tell)
    with ThreadPoolExecutor(len(probes) or 1) as pool:
        running = [pool.submit(runner.run, probe, _record(directory, probe.requirement)) for probe in probes]
        try:
            for each in running:
                each.result()
        except KeyboardInterrupt:
            settings.stop()
            tell("check", "interrupted: deleting what was created")
            raise
    judged = verdicts(directory, plan.profile, plan.only)
    replace_file(directory / VERDICTS, msgspec.json.format(msgspec.json.encode(judged), indent=1))
    seal(
        directory,
        {"profile": plan.profile, "cluster": facts.cluster, "ended": datetime.now(UTC).isoformat()},
        keys,
    )
    return judged


def _probes_to_run(plan: CheckPlan, directory: Path) -> list[Probe]:
    """The probes of the plan that have no record yet: MUSTs first, and those that wait for each other last."""
    levels = profile(plan.profile)
    chosen = [
        name
        for name in levels
        if name in ROOMS and (not plan.only or name in plan.only) and not _record(directory, name).exists()
    ]
    probes = [probe_of(name) for name in chosen]
    return sorted(
        probes, key=lambda each: (levels[each.requirement], ROOMS.index(each.requirement) if each.alone else -1)
    )


def _description(api: Api, plan: CheckPlan, facts: ClusterFacts, run: str) -> CheckDescription:
    return CheckDescription(
        tool=f"plimsoll {__version__}",
        run=run,
        profile=plan.profile,
        only=plan.only,
        images=plan.images,
        timeout=plan.timeout,
        target=api.target,
        cluster=facts.cluster,
        version=facts.version,
        began=datetime.now(UTC).isoformat(),
    )


def verdicts(directory: Path, name: str, only: Sequence[str] = ()) -> list[Judged]:
    """Judge the records of a bundle: for a check that just ended, and for `verify`."""
    return [
        Judged(requirement=requirement, level=level, verdict=_verdict(directory, requirement, only))
        for requirement, level in profile(name).items()
    ]


def _verdict(directory: Path, requirement: str, only: Sequence[str]) -> Verdict:
    if only and requirement not in only:
        return skipped("it was not asked for (--only)")
    if requirement not in ROOMS:
        return unknown("plimsoll has no probe for it yet")
    path = _record(directory, requirement)
    if not path.is_file():
        return skipped("there is no record of it")
    return judge(requirement, tuple(read_journal(path)))


def _record(directory: Path, requirement: str) -> Path:
    return directory / PROBES / f"{requirement}.jsonl"


def exit_status(judged: Sequence[Judged]) -> int:
    """0 when every MUST is shown or does not apply, 1 when one fails, 3 when one was not shown."""
    outcomes = {each.verdict.outcome for each in judged if each.level == MUST}
    if outcomes & {Outcome.FAIL, Outcome.NOT_IMPLEMENTED}:
        return 1
    return 0 if outcomes <= {Outcome.PASS, Outcome.NOT_APPLICABLE} else 3
