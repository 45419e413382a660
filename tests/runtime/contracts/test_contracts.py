from __future__ import annotations

import json

import pytest

from plimsoll.runtime.contracts import CONTRACTS, contract_of
from plimsoll.runtime.contracts.gang import Gang

GANG = Gang(
    hosts=("127.0.0.1", "127.0.0.1", "10.0.0.2"),
    ports=(20001, 20002, 20003),
    directory="/work",
    rendezvous=("127.0.0.1", 9000),
    cores_per_worker=2.5,
)


def environments(framework: str) -> list[dict[str, str]]:
    return [dict(contract_of(framework).environment(rank, GANG)) for rank in range(GANG.size)]


def test_torch_workers_see_what_torchrun_sets() -> None:
    seen = environments("torch")
    assert [env["RANK"] for env in seen] == ["0", "1", "2"]
    assert [env["LOCAL_RANK"] for env in seen] == ["0", "1", "0"]
    assert [env["LOCAL_WORLD_SIZE"] for env in seen] == ["2", "2", "1"]
    assert {(env["WORLD_SIZE"], env["MASTER_ADDR"], env["MASTER_PORT"]) for env in seen} == {
        ("3", "127.0.0.1", "20001")
    }


def test_tensorflow_workers_see_one_cluster_and_their_own_place() -> None:
    seen = [json.loads(env["TF_CONFIG"]) for env in environments("tensorflow")]
    assert {json.dumps(one["cluster"]) for one in seen} == {
        json.dumps({"worker": ["127.0.0.1:20001", "127.0.0.1:20002", "10.0.0.2:20003"]})
    }
    assert [one["task"] for one in seen] == [{"type": "worker", "index": rank} for rank in range(3)]


def test_jax_processes_see_one_coordinator() -> None:
    seen = environments("jax")
    assert {env["JAX_COORDINATOR_ADDRESS"] for env in seen} == {"127.0.0.1:20001"}
    assert [env["JAX_PROCESS_ID"] for env in seen] == ["0", "1", "2"]


def test_xgboost_workers_see_the_tracker() -> None:
    seen = environments("xgboost")
    assert {(env["DMLC_TRACKER_URI"], env["DMLC_TRACKER_PORT"]) for env in seen} == {("127.0.0.1", "9000")}
    assert [env["DMLC_TASK_ID"] for env in seen] == ["0", "1", "2"]
    assert contract_of("xgboost").rendezvous_script


def test_many_xgboost_workers_are_in_the_same_order_as_words_and_as_numbers() -> None:
    many = Gang(hosts=("127.0.0.1",) * 12, ports=(1,) * 12, directory="/work", rendezvous=("127.0.0.1", 9000))
    tasks = [contract_of("xgboost").environment(rank, many)["DMLC_TASK_ID"] for rank in range(12)]
    assert sorted(tasks) == tasks
    assert [int(task) for task in tasks] == list(range(12))


def test_lightgbm_machines_are_in_a_file_and_in_a_variable() -> None:
    seen = environments("lightgbm")
    assert [env["LIGHTGBM_LOCAL_LISTEN_PORT"] for env in seen] == ["20001", "20002", "20003"]
    assert contract_of("lightgbm").files(GANG) == {"machines.txt": "127.0.0.1 20001\n127.0.0.1 20002\n10.0.0.2 20003\n"}


def test_mpi_has_a_host_file_in_each_dialect_and_one_launcher() -> None:
    contract = contract_of("mpi")
    assert contract.launcher
    assert contract.files(GANG) == {
        "hostfile": "127.0.0.1 slots=2\n10.0.0.2 slots=1\n",
        "hydra-hosts": "127.0.0.1:2\n10.0.0.2:1\n",
    }
    assert environments("mpi")[0]["OMPI_MCA_orte_default_hostfile"] == "/work/hostfile"


def test_ray_nodes_know_their_head_and_their_own_host() -> None:
    seen = environments("ray")
    assert {env["RAY_HEAD_ADDRESS"] for env in seen} == {"127.0.0.1:20001"}
    assert [env["RAY_NODE_HOST"] for env in seen] == ["127.0.0.1", "127.0.0.1", "10.0.0.2"]
    assert {env["RAY_NODE_CPUS"] for env in seen} == {"2"}
    assert contract_of("ray").node_script


def test_a_single_plain_worker_gets_no_variables() -> None:
    alone = Gang(hosts=("127.0.0.1",), ports=(1,), directory="/work")
    assert contract_of("none").environment(0, alone) == {}


@pytest.mark.parametrize("framework", sorted(CONTRACTS))
def test_no_contract_sets_variables_of_plimsoll(framework: str) -> None:
    assert not [name for env in environments(framework) for name in env if "PLIMSOLL" in name]
