import pytest

from plimsoll.application.model import Scale
from plimsoll.planning.capacity import shortfalls
from plimsoll.planning.facts import Facts
from plimsoll.planning.steps import Plan, Serve, Share, Step, TrainGang

MACHINE = Facts(target="local", cpu=2.0, memory=4 * 2**30)


def gang(workers: int, share: Share) -> Plan:
    work = TrainGang(command="python train.py", framework="xgboost", workers=workers)
    step = Step(name="train/triage", key="k", work=work, share=share)
    return Plan(application="a", target="local", steps=(step,))


@pytest.mark.parametrize(
    ("workers", "share", "resource"),
    [
        (3, Share(cpu=1.0), "cpu"),
        (3, Share(), "cpu"),
        (2, Share(memory=3 * 2**30), "memory"),
        (1, Share(accelerators=1), "accelerators"),
    ],
)
def test_a_gang_that_cannot_start_whole_is_found_before_anything_starts(
    workers: int, share: Share, resource: str
) -> None:
    (lacking,) = shortfalls(gang(workers, share), MACHINE)
    assert lacking.setting == ("resources", resource)
    assert lacking.step == "train/triage"
    assert "local has" in lacking.message


@pytest.mark.parametrize(("workers", "share"), [(2, Share(cpu=1.0)), (4, Share(cpu=0.5)), (2, Share(memory=2**31))])
def test_a_gang_that_fits_exactly_is_let_through(workers: int, share: Share) -> None:
    assert shortfalls(gang(workers, share), MACHINE) == ()


def test_a_service_without_servers_is_refused_where_none_can_be_brought_back() -> None:
    work = Serve(service="toy", model="m", scale=Scale(min=0, max=2))
    wanted = Plan(application="a", target="lab", steps=(Step(name="serve/toy", key="k", work=work),))
    cluster = Facts(target="lab", cpu=2.0, memory=2**30, never_zero="KEDA is not installed")
    (lacking,) = shortfalls(wanted, cluster)
    assert lacking.setting == ("scale", "min")
    assert "KEDA is not installed" in lacking.message
    assert shortfalls(wanted, Facts(target="lab", cpu=2.0, memory=2**30)) == ()
