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
from plimsoll.capabilities.facts import Facts, facts
from plimsoll.capabilities.probe import ROOMS, judge, probe_of
from plimsoll.capabilities.requirements import MUST, profile
from plimsoll.capabilities.stage import OutOfTime, Settings, Stage
from plimsoll.engine.journal import Journal, read_journal
from plimsoll.errors import PlimsollError
from plimsoll.evidence.bundle import seal
from plimsoll.evidence.observation import Observation, observed
from plimsoll.evidence.verdict import Outcome, Verdict, skipped, unknown
from plimsoll.files import replace_file
from plimsoll.registry.keys import KeyRing
from plimsoll.targets.kubernetes.api import Api

SIDE_BY_SIDE = 4
INVENTORY, PROBES, VERDICTS = "inventory.jsonl", "probes", "verdicts.json"
Tell = Callable[[str, str], None]
# These hold accelerators, or take a node's free processors: two of them at once would see each other.
_ALONE = frozenset({"secure_accelerator_access", "gang_scheduling", "accelerator_metrics", "pod_autoscaling"})


class Judged(Struct, frozen=True, kw_only=True):
    """A requirement with its level in the profile and its verdict."""

    requirement: str
    level: str
    verdict: Verdict


class Plan(Struct, frozen=True, kw_only=True):
    """What the user asked for: `only` is empty for all of the profile, `timeout` is seconds for all probes together."""

    profile: str
    only: tuple[str, ...] = ()
    images: str = ""
    timeout: float = 1800.0


def take_inventory(api: Api, directory: Path) -> Facts:
    """Read what the cluster has and write it into the bundle."""
    with Journal(directory / INVENTORY) as journal:
        inventory.take(api, journal.append)
    return facts(tuple(read_journal(directory / INVENTORY)))


def check(api: Api, plan: Plan, found: Facts, directory: Path, tell: Tell) -> list[Judged]:
    """Run the probes, judge them, and seal the bundle. `tell` is told each requirement and what happens to it."""
    wanted = profile(plan.profile)
    settings = Settings(run=secrets.token_hex(4), images=plan.images, deadline=time.monotonic() + plan.timeout)
    began = datetime.now(UTC)
    replace_file(directory / "check.json", msgspec.json.encode(_description(api, plan, found, settings.run, began)))
    chosen = [name for name in wanted if name in ROOMS and (not plan.only or name in plan.only)]
    alone = threading.Lock()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        running = {name: pool.submit(_probe, api, name, settings, found, directory, tell, alone) for name in chosen}
        try:
            for each in running.values():
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


def _description(api: Api, plan: Plan, found: Facts, run: str, began: datetime) -> dict[str, Any]:
    return {
        "tool": f"plimsoll {__version__}",
        "run": run,
        "profile": plan.profile,
        "only": plan.only,
        "target": api.target,
        "cluster": found.cluster,
        "version": found.version,
        "began": began.isoformat(),
    }


def _probe(
    api: Api, name: str, settings: Settings, found: Facts, directory: Path, tell: Tell, alone: threading.Lock
) -> None:
    with Journal(_record(directory, name)) as journal:
        probe = probe_of(name)
        decided = probe.obstacle(found)
        if decided is not None:
            journal.append(observed("check", name, "decided", **msgspec.to_builtins(decided)))
        elif name in _ALONE:
            tell(name, "waits for others")
            with alone:
                _acted(api, name, settings, found, journal, tell)
        else:
            _acted(api, name, settings, found, journal, tell)
    verdict = judge(name, tuple(read_journal(_record(directory, name))))
    tell(name, f"{verdict.outcome.value}: {verdict.figure or verdict.cause}")


def _acted(api: Api, name: str, settings: Settings, found: Facts, journal: Journal, tell: Tell) -> None:
    """Observe, and whatever happens remove what was made."""

    def record(observation: Observation) -> None:
        journal.append(observation)
        if observation.event in ("came", "did-not-come"):
            tell(name, f"{observation.fact['what']}: {observation.fact['seconds']} s")

    stage = Stage(api, name, settings, record)
    tell(name, "started")
    try:
        probe_of(name).observe(stage, found)
        stage.note("ended")
    except (PlimsollError, OutOfTime) as error:
        remedy = error.hint if isinstance(error, PlimsollError) else "give it more with --timeout"
        stage.note("broke-off", problem=str(error).splitlines()[0], remedy=remedy)
    except Exception as error:  # noqa: BLE001  # a defect of a probe is its own verdict, not the end of the others
        stage.note("broke-off", problem=f"a defect of the probe: {error!r}", remedy="please report it")
    finally:
        try:
            stage.close()
        except PlimsollError as error:
            stage.note("not-removed", problem=str(error), remedy="plimsoll check --clean removes it")


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
