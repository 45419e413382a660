"""A sandbox's verdict: no lab has one, so that its record is made of the probe's own types."""

from __future__ import annotations

import pytest

from plimsoll.capabilities.probe import judge
from plimsoll.capabilities.records import ProbeEnded, observation_of
from plimsoll.capabilities.workload_sandboxing.records import KernelSeen, SandboxTried
from plimsoll.evidence.verdict import Outcome
from tests.capabilities.falsified_devices import CHEATS, SANDBOX
from tests.capabilities.falsifying import Falsify
from tests.capabilities.recorded import Record

HOST = {
    "uname": "Linux 6.8.0 #1 SMP x86_64",
    "booted": "1790000000",
    "boot": "0c1f",
    "version": "Linux version 6.8.0",
    "modules": "120",
    "log": "dmesg: read kernel buffer failed",
    "memory": "16000000 kB",
}
GUEST = HOST | {"uname": "Linux 4.4.0 #1 SMP x86_64", "booted": "1790000500", "boot": "77aa", "log": "Starting gVisor"}
CHEATS_OF_SANDBOXES = [each for each in CHEATS if each[0] == SANDBOX]


def seen(role: str, said: dict[str, str]) -> KernelSeen:
    return KernelSeen(
        name=f"in-gvisor-{role}",
        node="node-1",
        phase="Succeeded" if said else "Pending",
        reason="",
        waiting=(),
        unscheduled="",
        images=(),
        sandbox="gvisor",
        role=role,
        said=said,
    )


@pytest.fixture
def record() -> Record:
    records = [
        SandboxTried(name="gvisor", handler="runsc"),
        seen("sandbox", GUEST),
        seen("twin-1", HOST),
        seen("twin-2", HOST),
        ProbeEnded(),
    ]
    return tuple(observation_of(SANDBOX, each) for each in records)


def test_a_kernel_of_its_own_beside_two_twins_passes(record: Record) -> None:
    verdict = judge(SANDBOX, record)
    assert verdict.outcome is Outcome.PASS
    assert verdict.figure == f"gvisor: {GUEST['uname']} beside {HOST['uname']} on node-1"


@pytest.mark.parametrize(
    ("cheat", "falsify", "outcome"),
    [each[1:] for each in CHEATS_OF_SANDBOXES],
    ids=[each[1] for each in CHEATS_OF_SANDBOXES],
)
def test_what_is_no_sandbox_does_not_pass(record: Record, cheat: str, falsify: Falsify, outcome: Outcome) -> None:
    verdict = judge(SANDBOX, falsify(record))
    assert verdict.outcome is outcome, (cheat, verdict)
    assert verdict.cause
