import pytest

from plimsoll.planning.capacity import shortfalls
from plimsoll.planning.facts import Facts
from plimsoll.planning.steps import Plan, Share, Step, TrainGang

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
    assert lacking.resource == resource
    assert lacking.step == "train/triage"
    assert "local has" in lacking.message


@pytest.mark.parametrize(("workers", "share"), [(2, Share(cpu=1.0)), (4, Share(cpu=0.5)), (2, Share(memory=2**31))])
def test_a_gang_that_fits_exactly_is_let_through(workers: int, share: Share) -> None:
    assert shortfalls(gang(workers, share), MACHINE) == ()
