from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from plimsoll.evidence.observation import Observation
from plimsoll.kinds.train import Framework, TrainGang
from plimsoll.planning.steps import Step
from plimsoll.targets.local.session import LocalSession
from plimsoll.targets.local.work.train import free_ports


def trained(target: LocalSession, command: str, framework: Framework, workers: int = 2) -> list[Observation]:
    work = TrainGang(command=command, framework=framework, size=workers)
    return list(target.start(Step(part="m", key="key", work=work), 1))


def test_when_one_worker_cannot_be_started_none_is_left_running(target: LocalSession, tmp_path: Path) -> None:
    (tmp_path / "sometimes").write_text("#!/bin/sh\nsleep 300\n")
    seen = trained(target, "./sometimes", "none")
    assert seen[-1].fact["outcome"] == "failed"
    assert "'./sometimes' is not executable" in seen[-1].fact["reason"]
    assert not [one for one in seen if one.event == "worker-started"]


def test_rank_0_alone_leaves_the_result(target: LocalSession) -> None:
    end = trained(target, "echo $RANK of $WORLD_SIZE > $PLIMSOLL_OUTPUT/rank.txt", "none")[-1]
    assert list(end.fact["result"]["outputs"]) == [{"name": "rank.txt", "size": 7}]
    assert (target.state.output("key") / "rank.txt").read_text() == "0 of 2\n"


def test_a_rendezvous_that_cannot_come_up_is_a_reason_and_not_a_hang(target: LocalSession) -> None:
    end = trained(target, "/usr/bin/python3 -S train.py", "xgboost")[-1]
    assert end.fact["outcome"] == "failed"
    assert "cannot import xgboost" in end.fact["reason"]


def test_free_ports_are_many_and_different() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[0]))
        taken.listen()


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="needs mpirun (apt-get install openmpi-bin)")
def test_mpirun_starts_as_many_ranks_as_there_are_workers_without_being_told(
    target: LocalSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
        monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    said = "echo rank $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE >> $PLIMSOLL_OUTPUT/ranks.txt"
    seen = trained(target, f"mpirun sh -c '{said}'", "mpi")
    assert seen[-1].fact["outcome"] == "done", seen[-1].fact["reason"]
    assert len([one for one in seen if one.event == "worker-started"]) == 1
    ranks = (target.state.output("key") / "ranks.txt").read_text().splitlines()
    assert sorted(ranks) == ["rank 0 of 2", "rank 1 of 2"]
