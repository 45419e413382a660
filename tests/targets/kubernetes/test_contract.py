"""The contract of targets, held against a cluster in memory."""

from __future__ import annotations

import pytest

from tests.targets.contract import Bench as ContractBench
from tests.targets.contract import TargetContract
from tests.targets.kubernetes.bench import Bench, Pod, fail


class TestKubernetes(TargetContract):
    """A cluster with pods that are functions."""

    @pytest.fixture
    def bench(self, bench: Bench) -> ContractBench:
        bench.does("run/good", lambda pod: pod.leave(greeting_txt="hello\n"))
        bench.does("run/failing", fail("no such column: age"))
        bench.does("run/endless", Pod.wait)
        return ContractBench(
            target=bench.target(),
            good=lambda: bench.command("good", "greeting.txt"),
            failing=lambda: bench.command("failing"),
            endless=lambda: bench.command("endless"),
            started=lambda: any(pod.task.step == "run/endless" for pod in bench.begun),
        )
