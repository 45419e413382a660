import pytest

from plimsoll.kinds.serve import SCALE_TO_ZERO, Serve
from plimsoll.kinds.service_settings import Scale
from plimsoll.kinds.train import TrainGang
from plimsoll.planning.capacity import shortfalls
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import Plan, Step, WorkerResources

MACHINE = TargetFacts(target="local", cpu=2.0, memory=4 * 2**30)


def gang(workers: int, resources: WorkerResources) -> Plan:
    work = TrainGang(command="python train.py", framework="xgboost", size=workers)
    step = Step(part="triage", key="k", work=work, resources=resources)
    return Plan(application="a", target="local", steps=(step,))


@pytest.mark.parametrize(
    ("workers", "resources", "resource"),
    [
        (3, WorkerResources(cpu=1.0), "cpu"),
        (3, WorkerResources(), "cpu"),
        (2, WorkerResources(memory=3 * 2**30), "memory"),
        (1, WorkerResources(accelerators=1), "accelerators"),
    ],
)
def test_a_gang_that_cannot_start_whole_is_found_before_anything_starts(
    workers: int, resources: WorkerResources, resource: str
) -> None:
    (lacking,) = shortfalls(gang(workers, resources), MACHINE)
    assert lacking.setting == ("resources", resource)
    assert lacking.step == "train/triage"
    assert "local has" in lacking.message


@pytest.mark.parametrize(
    ("workers", "resources"),
    [(2, WorkerResources(cpu=1.0)), (4, WorkerResources(cpu=0.5)), (2, WorkerResources(memory=2**31))],
)
def test_a_gang_that_fits_exactly_is_let_through(workers: int, resources: WorkerResources) -> None:
    assert shortfalls(gang(workers, resources), MACHINE) == ()


def test_a_service_without_servers_is_refused_where_none_can_be_brought_back() -> None:
    work = Serve(service="toy", model="m", scale=Scale(min=0, max=2))
    wanted = Plan(application="a", target="lab", steps=(Step(part="toy", key="k", work=work),))
    cluster = TargetFacts(target="lab", cpu=2.0, memory=2**30, lacks={SCALE_TO_ZERO: "KEDA is not installed"})
    (lacking,) = shortfalls(wanted, cluster)
    assert lacking.setting == ("scale", "min")
    assert "KEDA is not installed" in lacking.message
    assert shortfalls(wanted, TargetFacts(target="lab", cpu=2.0, memory=2**30)) == ()
