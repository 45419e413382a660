"""The same file on a real cluster: `plimsoll run --target lab`."""

from __future__ import annotations

import json
import signal

import pytest
import yaml

from lab.kubectl import apply, get, kubectl
from tests.lab.cluster import until
from tests.lab.conftest import Up
from tests.lab.kubernetes.conftest import ROWS, Application

pytestmark = pytest.mark.lab
ADDONS = ("jobset", "kueue", "gateway", "registry")


def test_the_same_file_gives_the_same_predictions_on_the_laptop_and_on_the_cluster(
    up: Up, application: Application
) -> None:
    up(*ADDONS)
    plan = application.plimsoll("plan", "--target", "lab")
    assert "kueue: Kueue's cluster queue lab admits a gang whole" in plan.stdout, plan.stdout + plan.stderr
    done = application.plimsoll("run", "--target", "lab")
    assert done.returncode == 0, done.stdout + done.stderr
    here = application.plimsoll("run", "--target", "local")
    assert here.returncode == 0, here.stdout + here.stderr
    there, local = application.predictions("lab"), application.predictions("local")
    assert len(there) == ROWS
    assert there == local
    again = application.plimsoll("run", "--target", "lab", "--json")
    states = {each["name"]: each["cached"] for each in json.loads(again.stdout)["steps"]}
    assert all(states.values()), states
    status = application.plimsoll("status", "--target", "lab")
    assert "toy is up at http" in status.stdout
    logs = application.plimsoll("logs", "train/toy", "--target", "lab", "--run", _first_run(application))
    assert "train/toy 1-0 │ worker 0 of 2: from step 0" in logs.stdout
    assert "train/toy 1-1 │ worker 1 of 2: from step 0" in logs.stdout
    _check_rendering(application)
    removed = application.plimsoll("down", "--target", "lab")
    assert removed.returncode == 0, removed.stderr
    until(lambda: not application.left(), limit=60, what="the end of all that was made")


def _first_run(application: Application) -> str:
    runs = application.directory / ".plimsoll" / "targets" / "lab" / "runs"
    return min(path.name for path in runs.iterdir())


def _check_rendering(application: Application) -> None:
    """What `plan --output yaml` prints is what runs: applying it changes nothing, and it is the same each time."""
    first = application.plimsoll("plan", "--target", "lab", "--output", "yaml")
    assert first.returncode == 0, first.stderr
    assert application.plimsoll("plan", "--target", "lab", "--output", "yaml").stdout == first.stdout
    kinds = {each["kind"] for each in yaml.safe_load_all(first.stdout)}
    assert {"Deployment", "Service", "HTTPRoute", "NetworkPolicy", "ServiceAccount"} <= kinds
    before = get("deployment", f"{application.name}-toy", namespace=application.name)
    apply(first.stdout)
    after = get("deployment", f"{application.name}-toy", namespace=application.name)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def test_a_killed_pod_and_a_killed_plimsoll_end_in_a_finished_run_from_the_last_checkpoint(
    up: Up, application: Application
) -> None:
    up(*ADDONS)
    application.change("range(done, 2)", "range(done, 24)", "train.py")
    running = application.start("run", "--target", "lab")
    until(lambda: _steps(application) >= 4, limit=90, what="four steps of training")
    kubectl("delete", application.pods("train.toy")[0], f"-n{application.name}", "--grace-period=0", "--force")
    until(lambda: _steps(application) >= 7, limit=90, what="three more steps")
    running.send_signal(signal.SIGKILL)
    running.communicate()
    done = application.plimsoll("run", "--target", "lab", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["models"]["toy"]["metrics"]["resumed_from"] >= 3


def _steps(application: Application) -> int:
    """How far the training is, by its log in the run's directory."""
    logs = application.directory.glob(".plimsoll/targets/lab/runs/*/logs/train/toy/*-0*.log")
    return len({line for log in logs for line in log.read_text().splitlines() if ": step " in line})


@pytest.mark.parametrize("provider", ["podgroup", "jobset", "job"])
def test_every_provider_of_gangs_carries_the_training(up: Up, application: Application, provider: str) -> None:
    up(*ADDONS)
    text = (application.directory / "plimsoll.yaml").read_text()
    (application.directory / "plimsoll.yaml").write_text(text.partition("  services:")[0])
    done = application.plimsoll("run", "--target", "lab", "--prefer", provider)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "version 1, accepted" in done.stdout


def test_a_script_that_fails_is_told_by_worker_and_last_words(up: Up, application: Application) -> None:
    up(*ADDONS)
    application.change(
        'print(f"worker {rank} of', "assert rank == 0, 'no such column: hours'\nprint(f\"worker {rank} of", "train.py"
    )
    application.change("retries: 2", "retries: 0")
    done = application.plimsoll("run", "--target", "lab")
    assert done.returncode == 1
    assert "worker 1 ended with status 1: AssertionError: no such column: hours" in done.stdout, done.stdout


def test_what_no_node_can_give_is_said_before_anything_is_made(up: Up, application: Application) -> None:
    up(*ADDONS)
    application.change("workers: 2, retries: 2, resources: {cpu: 0.1}", "resources: {cpu: 64}")
    done = application.plimsoll("run", "--target", "lab")
    assert done.returncode == 2
    assert "train/toy wants 64 processor cores together; lab has" in done.stderr
    assert "plimsoll.yaml:" in done.stderr
    assert not application.left()


def test_a_model_that_nobody_trusted_has_signed_is_not_served(up: Up, application: Application) -> None:
    """The control is the first test: the same service comes up when nobody has touched its model."""
    up(*ADDONS)
    done = application.plimsoll("run", "--target", "lab")
    assert done.returncode == 0, done.stdout + done.stderr
    # Nobody's keys count any more.
    change = {"data": None}
    kubectl(
        "patch",
        "configmap",
        f"{application.name}-trust",
        f"-n{application.name}",
        "--type=merge",
        f"-p={json.dumps(change)}",
    )
    kubectl("delete", "pods", "--all", f"-n{application.name}", "--grace-period=0", "--force")
    until(lambda: "there are no trusted keys" in _init_words(application), limit=60, what="the model's refusal")
    assert not any(
        each["type"] == "Ready" and each["status"] == "True"
        for pod in get("pods", namespace=application.name)
        for each in pod["status"].get("conditions", [])
    )


def _init_words(application: Application) -> str:
    found = get("pods", namespace=application.name)
    statuses = [each for pod in found for each in pod["status"].get("initContainerStatuses", [])]
    ends = [each[key].get("terminated", {}) for each in statuses for key in ("state", "lastState")]
    return " ".join(str(each.get("message", "")) for each in ends)
