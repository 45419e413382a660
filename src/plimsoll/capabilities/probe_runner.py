"""Runs the probes of one check: several side by side, and those that hold accelerators one after another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from plimsoll.capabilities.check_settings import CheckSettings, Obstructed, OutOfTime
from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.probe import Probe, judge
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.records import (
    BrokeOff,
    Came,
    CheckRecord,
    Decided,
    DidNotCome,
    NotRemoved,
    ProbeEnded,
    observation_of,
)
from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import Journal, read_journal
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Outcome
from plimsoll.kubernetes.api import Api

SIDE_BY_SIDE = 6
"""Probes that run at the same time."""
PREFLIGHT = "preflight.jsonl"
_REMOVAL_LIMIT = 60.0
Tell = Callable[[str, str], None]
"""Is called with a requirement and what happens to it."""


class Problem(Struct, frozen=True, kw_only=True):
    """The reason why a probe broke off, and what to do about it."""

    cause: str
    remedy: str


class ProbeRunner:
    """The probes of one check share its settings, its facts and its places; `directory` is the bundle's."""

    def __init__(self, api: Api, settings: CheckSettings, facts: ClusterFacts, directory: Path, tell: Tell) -> None:
        self._api = api
        self._settings = settings
        self._facts = facts
        self._directory = directory
        self._tell = tell
        self._alone: dict[str, threading.Lock] = {}
        self._places = threading.Semaphore(SIDE_BY_SIDE)
        self._preflight = threading.Lock()
        self._problem: Problem | None = None
        self._preflight_done = False

    def run(self, probe: Probe, path: Path) -> None:
        """Run a probe to its end, whatever happens, write its record to `path`, and tell its verdict."""
        name = probe.requirement
        with Journal(path) as journal:
            decided = probe.obstacle(self._facts)
            if decided is not None:
                verdict = Decided(
                    outcome=decided.outcome, figure=decided.figure, cause=decided.cause, remedy=decided.remedy
                )
                journal.append(observation_of(name, verdict))
            elif problem := self._preflight_problem():
                journal.append(observation_of(name, BrokeOff(problem=problem.cause, remedy=problem.remedy)))
            elif probe.alone:
                self._tell(name, "waits for its turn")
                with self._alone.setdefault(probe.alone, threading.Lock()), self._places:
                    self._observe(probe, journal)
            else:
                with self._places:
                    self._observe(probe, journal)
        verdict_of_record = judge(name, tuple(read_journal(path)))
        self._tell(name, f"{verdict_of_record.outcome.value}: {verdict_of_record.figure or verdict_of_record.cause}")

    def _preflight_problem(self) -> Problem | None:
        """What would break off every probe, found once per check by a pod that does nothing."""
        with self._preflight:
            if not self._preflight_done:
                with Journal(self._directory / PREFLIGHT) as journal:

                    def write(record: CheckRecord) -> None:
                        journal.append(observation_of("preflight", record))

                    namespace = ProbeNamespace(self._api, "preflight", self._settings, write)
                    self._problem = _run_and_remove(namespace, _run_preflight)
                self._preflight_done = True
            return self._problem

    def _observe(self, probe: Probe, journal: Journal) -> None:
        """Run the probe and delete what it created, whatever happens."""
        name = probe.requirement
        seen: list[Observation] = []

        def write(record: CheckRecord) -> None:
            observation = observation_of(name, record)
            journal.append(observation)
            seen.append(observation)
            if isinstance(record, Came | DidNotCome):
                self._tell(name, f"{record.what}: {record.seconds} s")

        def observe(ns: ProbeNamespace) -> None:
            probe.observe(ns, self._facts)
            ns.note(ProbeEnded())
            if judge(name, seen).outcome is Outcome.FAIL:
                # A wait that reached its limit counts against the cluster only when the cluster is not just busy.
                ns.measure_pace()

        self._tell(name, "started")
        _run_and_remove(ProbeNamespace(self._api, name, self._settings, write), observe)


def _run_preflight(ns: ProbeNamespace) -> None:
    ns.create()
    ns.measure_pace()
    if not ns.pace_pod_ended():
        raise Obstructed("a pod that does nothing did not end", hint="see its events in the record")


def _run_and_remove(ns: ProbeNamespace, act: Callable[[ProbeNamespace], None]) -> Problem | None:
    """Act in a namespace and remove it. Returns, and records, why the action broke off."""
    problem: Problem | None = None
    try:
        ns.settings.check_time("its turn")
        act(ns)
    except PlimsollError as error:
        problem = Problem(cause=error.message.splitlines()[0], remedy=error.hint)
    except OutOfTime as error:
        problem = Problem(cause=str(error), remedy="allow more time with --timeout")
    except Exception as error:  # noqa: BLE001  # a defect of one probe must not end the others
        problem = Problem(cause=f"a defect of the probe: {error!r}", remedy="please report it")
    if problem:
        ns.note(BrokeOff(problem=problem.cause, remedy=problem.remedy))
    _remove(ns)
    return problem


def _remove(ns: ProbeNamespace) -> None:
    """Remove the namespace; for a minute while the API server does not answer."""
    end = time.monotonic() + _REMOVAL_LIMIT
    while True:
        try:
            ns.remove()
        except PlimsollError as error:
            if time.monotonic() > end:
                ns.note(NotRemoved(problem=str(error), remedy="plimsoll check --clean removes it"))
                return
            time.sleep(1)
        else:
            return
