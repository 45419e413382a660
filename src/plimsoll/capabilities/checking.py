"""A check: inventory, probes side by side, verdicts, and the bundle of all of it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from plimsoll import __version__
from plimsoll.capabilities import inventory
from plimsoll.capabilities.cleaning import clean
from plimsoll.capabilities.facts import ClusterFacts, cluster_facts
from plimsoll.capabilities.probe import ROOMS, judge, probe_of
from plimsoll.capabilities.probe_namespace import CheckSettings, Obstructed, OutOfTime, ProbeNamespace
from plimsoll.capabilities.requirements import MUST, profile
from plimsoll.decoding import decodable
from plimsoll.errors import FileError, PlimsollError
from plimsoll.evidence.bundle import seal
from plimsoll.evidence.journal import Journal, read_journal
from plimsoll.evidence.observation import Observation, observed
from plimsoll.evidence.verdict import Outcome, Verdict, skipped, unknown
from plimsoll.files import replace_file
from plimsoll.kubernetes.api import Api
from plimsoll.signing.keys import KeyRing

SIDE_BY_SIDE = 6
TIMEOUT = 1800.0
INVENTORY, PREFLIGHT, PROBES, VERDICTS = "inventory.jsonl", "preflight.jsonl", "probes", "verdicts.json"
DESCRIPTION = "check.json"
Tell = Callable[[str, str], None]
# These hold accelerators of the same nodes: two of them at once would see each other. The longest comes first.
_ALONE = (
    "pod_autoscaling",
    "secure_accelerator_access",
    "accelerator_metrics",
    "dra_support",
    "gpu_sharing",
    "virtualized_accelerator",
    "driver_runtime_management",
)
_REMOVAL_LIMIT = 60.0


@decodable
class Judged(Struct, frozen=True, kw_only=True):
    """A requirement with its level in the profile and its verdict."""

    requirement: str
    level: str
    verdict: Verdict


@decodable
class CheckPlan(Struct, frozen=True, kw_only=True):
    """What the user asked for: `only` is empty for all of the profile, `timeout` is seconds for all probes together."""

    profile: str
    only: tuple[str, ...] = ()
    images: str = ""
    timeout: float = TIMEOUT


def take_inventory(api: Api, directory: Path) -> ClusterFacts:
    """Read what the cluster has and write it into the bundle."""
    with Journal(directory / INVENTORY) as journal:
        inventory.take(api, journal.extend)
    return cluster_facts(tuple(read_journal(directory / INVENTORY)))


def resume_check(api: Api, directory: Path) -> tuple[CheckPlan, ClusterFacts]:
    """What a check that was broken off had been asked, and the inventory that it had taken, to go on from.

    Records of probes that came to their end stay; what the others had made, and their records, are removed. Raises
    FileError when there is nothing to go on from, or another cluster.
    """
    path = directory / DESCRIPTION
    if (directory / VERDICTS).exists():
        raise FileError("this check has come to its end", where=str(directory), hint="plimsoll verify judges it again")
    try:
        described = msgspec.json.decode(path.read_bytes())
        plan = msgspec.convert({key: described[key] for key in CheckPlan.__struct_fields__}, CheckPlan)
        found = cluster_facts(tuple(read_journal(directory / INVENTORY)))
    except (OSError, KeyError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise FileError(f"there is no check to go on with: {error}", where=str(directory)) from error
    uid = api.get("v1", "Namespace", "kube-system")["metadata"]["uid"]
    if uid != found.cluster:
        raise FileError(f"this check was of the cluster {found.cluster}, not of {uid}", where=str(directory))
    clean(api, described["run"])
    for record in (directory / PROBES).glob("*.jsonl"):
        events = {each.event for each in read_journal(record)}
        if "broke-off" in events or not events & {"ended", "decided"}:
            record.unlink()
    return plan, found


def check(api: Api, plan: CheckPlan, found: ClusterFacts, directory: Path, tell: Tell) -> list[Judged]:
    """Run the probes, judge them, and seal the bundle. `tell` is told each requirement and what happens to it."""
    wanted = profile(plan.profile)
    settings = CheckSettings(
        run=secrets.token_hex(4),
        images=plan.images,
        deadline=time.monotonic() + plan.timeout,
        patience=max(1.0, plan.timeout / TIMEOUT),
    )
    began = datetime.now(UTC)
    replace_file(directory / DESCRIPTION, msgspec.json.encode(_description(api, plan, found, settings.run, began)))
    chosen = [
        name
        for name in wanted
        if name in ROOMS and (not plan.only or name in plan.only) and not _record(directory, name).exists()
    ]
    chosen.sort(key=lambda name: (wanted[name], _ALONE.index(name) if name in _ALONE else -1))
    crew = _Crew(api, settings, found, directory, tell)
    with ThreadPoolExecutor(len(chosen) or 1) as pool:
        running = [pool.submit(crew.probe, name) for name in chosen]
        try:
            for each in running:
                each.result()
        except KeyboardInterrupt:
            settings.stop()
            tell("check", "interrupted: removing what was made")
            raise
    judged = verdicts(directory, plan.profile, plan.only)
    replace_file(directory / VERDICTS, msgspec.json.format(msgspec.json.encode(judged), indent=1))
    seal(
        directory,
        {"profile": plan.profile, "cluster": found.cluster, "ended": datetime.now(UTC).isoformat()},
        KeyRing.default(),
    )
    return judged


def _description(api: Api, plan: CheckPlan, found: ClusterFacts, run: str, began: datetime) -> dict[str, Any]:
    return {
        "tool": f"plimsoll {__version__}",
        "run": run,
        **msgspec.to_builtins(plan),
        "target": api.target,
        "cluster": found.cluster,
        "version": found.version,
        "began": began.isoformat(),
    }


class _Crew:
    """Runs the probes of one check, several at a time, those that hold accelerators one after another."""

    def __init__(self, api: Api, settings: CheckSettings, found: ClusterFacts, directory: Path, tell: Tell) -> None:
        self._api = api
        self._settings = settings
        self._facts = found
        self._directory = directory
        self._tell = tell
        self._alone = threading.Lock()
        self._places = threading.Semaphore(SIDE_BY_SIDE)
        self._preflight = threading.Lock()
        self._problem: tuple[str, str] | None = None
        self._flown = False

    def probe(self, name: str) -> None:
        """Run a probe to its end, whatever happens, and judge it."""
        with Journal(_record(self._directory, name)) as journal:
            decided = probe_of(name).obstacle(self._facts)
            if decided is not None:
                journal.append(observed("check", name, "decided", **msgspec.to_builtins(decided)))
            elif problem := self._looked_ahead():
                journal.append(observed("check", name, "broke-off", problem=problem[0], remedy=problem[1]))
            elif name in _ALONE:
                self._tell(name, "waits for its turn")
                with self._alone, self._places:
                    self._act(name, journal)
            else:
                with self._places:
                    self._act(name, journal)
        verdict = judge(name, tuple(read_journal(_record(self._directory, name))))
        self._tell(name, f"{verdict.outcome.value}: {verdict.figure or verdict.cause}")

    def _looked_ahead(self) -> tuple[str, str] | None:
        """What would stand in every probe's way, with its remedy: found once, by a pod that does nothing."""
        with self._preflight:
            if not self._flown:
                with Journal(self._directory / PREFLIGHT) as journal:
                    ns = ProbeNamespace(self._api, "preflight", self._settings, journal.append)
                    self._problem = _carried_through(ns, _fly)
                self._flown = True
            return self._problem

    def _act(self, name: str, journal: Journal) -> None:
        """Observe, and whatever happens remove what was made."""
        seen: list[Observation] = []

        def record(observation: Observation) -> None:
            journal.append(observation)
            seen.append(observation)
            if observation.event in ("came", "did-not-come"):
                self._tell(name, f"{observation.fact['what']}: {observation.fact['seconds']} s")

        def observe(ns: ProbeNamespace) -> None:
            probe_of(name).observe(ns, self._facts)
            ns.note("ended")
            if judge(name, seen).outcome is Outcome.FAIL:
                # What did not come in time says something of the cluster only when the cluster is not just busy.
                ns.measure_pace()

        self._tell(name, "started")
        _carried_through(ProbeNamespace(self._api, name, self._settings, record), observe)


def _fly(ns: ProbeNamespace) -> None:
    ns.create()
    ns.measure_pace()
    if not ns.pace_pod_ended():
        raise Obstructed("not even a pod that does nothing comes to its end", hint="see its events in the record")


def _carried_through(ns: ProbeNamespace, act: Callable[[ProbeNamespace], None]) -> tuple[str, str] | None:
    """Act on a stage and remove it. Gives what made it break off, with the remedy; that is recorded too."""
    problem: tuple[str, str] | None = None
    try:
        ns.settings.check_time("its turn")
        act(ns)
    except PlimsollError as error:
        problem = (error.message.splitlines()[0], error.hint)
    except OutOfTime as error:
        problem = (str(error), "give it more with --timeout")
    except Exception as error:  # noqa: BLE001  # a defect of a probe is its own verdict, not the end of the others
        problem = (f"a defect of the probe: {error!r}", "please report it")
    if problem:
        ns.note("broke-off", problem=problem[0], remedy=problem[1])
    end = time.monotonic() + _REMOVAL_LIMIT
    while True:
        try:
            ns.remove()
        except PlimsollError as error:
            # The API server may be gone for a moment: what was made has to go all the same.
            if time.monotonic() > end:
                ns.note("not-removed", problem=str(error), remedy="plimsoll check --clean removes it")
                return problem
            time.sleep(1)
        else:
            return problem


def verdicts(directory: Path, name: str, only: Sequence[str] = ()) -> list[Judged]:
    """Judge the records of a bundle: for a check that has just ended, and for `verify`."""
    judged = []
    for requirement, level in profile(name).items():
        if only and requirement not in only:
            verdict = skipped("it was not asked for (--only)")
        elif requirement not in ROOMS:
            verdict = unknown("plimsoll has no probe for it yet")
        elif not _record(directory, requirement).is_file():
            verdict = skipped("there is no record of it")
        else:
            verdict = judge(requirement, tuple(read_journal(_record(directory, requirement))))
        judged.append(Judged(requirement=requirement, level=level, verdict=verdict))
    return judged


def exit_status(judged: Sequence[Judged]) -> int:
    """0 when every MUST is shown or does not apply, 1 when one fails, 3 when one was not shown."""
    outcomes = {each.verdict.outcome for each in judged if each.level == MUST}
    if Outcome.FAIL in outcomes:
        return 1
    return 0 if outcomes <= {Outcome.PASS, Outcome.NOT_APPLICABLE} else 3


def _record(directory: Path, requirement: str) -> Path:
    return directory / PROBES / f"{requirement}.jsonl"
