"""The same file on a real cluster: `plimsoll run --target lab`."""

from __future__ import annotations

import json
import shutil
import signal

import pytest
import yaml

from lab.kubectl import get, kubectl
from plimsoll.kubernetes.comparing import differences
from tests.lab.cluster import Namespace, until
from tests.lab.conftest import Up
from tests.lab.kubernetes.asking import Asking, server_pods
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
    assert "toy is running at http" in status.stdout
    logs = application.plimsoll("logs", "train/toy", "--target", "lab", "--run", _first_run(application))
    assert "train/toy 1-0 │ worker 0 of 2: from step 0" in logs.stdout
    assert "train/toy 1-1 │ worker 1 of 2: from step 0" in logs.stdout
    _check_rendering(application)
    # From a fresh clone, in which nothing has ever run.
    clone = application.directory / "clone"
    clone.mkdir()
    shutil.copy(application.directory / "plimsoll.yaml", clone)
    removed = application.plimsoll("down", "--target", "lab", "-f", "clone/plimsoll.yaml")
    assert removed.returncode == 0, removed.stderr
    until(lambda: not application.left(), limit=60, what="the end of all that was made")


def _first_run(application: Application) -> str:
    runs = application.directory / ".plimsoll" / "targets" / "lab" / "runs"
    return min(path.name for path in runs.iterdir())


def _check_rendering(application: Application) -> None:
    """`plan --output yaml` prints the running objects: a GitOps controller sees no difference and meets no conflict."""
    first = application.plimsoll("plan", "--target", "lab", "--output", "yaml")
    assert first.returncode == 0, first.stderr
    assert application.plimsoll("plan", "--target", "lab", "--output", "yaml").stdout == first.stdout
    manifests = list(yaml.safe_load_all(first.stdout))
    assert {"Deployment", "Service", "HTTPRoute", "NetworkPolicy", "ServiceAccount"} <= {
        each["kind"] for each in manifests
    }
    before = get("deployment", f"{application.name}-toy", namespace=application.name)
    kubectl("apply", "--server-side", "--field-manager=argocd-controller", "-f", "-", stdin=first.stdout)
    stands = json.loads(kubectl("get", "-f", "-", "--output=json", stdin=first.stdout))["items"]
    wrong = [(each["kind"], differences(each, found)) for each, found in zip(manifests, stands, strict=True)]
    assert not any(paths for _, paths in wrong), wrong
    after = get("deployment", f"{application.name}-toy", namespace=application.name)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def test_a_killed_pod_and_a_killed_plimsoll_end_in_a_finished_run_from_the_last_checkpoint(
    up: Up, application: Application
) -> None:
    up(*ADDONS)
    application.change("range(done, 2)", "range(done, 24)", "train.py")
    # Checkpoints are uploaded once nothing has changed for a second.
    application.change("time.sleep(0.5)", "time.sleep(2.5)", "train.py")
    running = application.start("run", "--target", "lab")
    until(lambda: _steps(application) >= 6, limit=90, what="six steps of training")
    kubectl("delete", application.pods("train.toy")[0], f"-n{application.name}", "--grace-period=0", "--force")
    until(lambda: _steps(application) >= 9, limit=90, what="three more steps")
    running.send_signal(signal.SIGKILL)
    running.communicate()
    training = application.pods("train.toy")
    done = application.plimsoll("run", "--target", "lab", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["models"]["toy"]["metrics"]["resumed_from"] >= 3
    assert application.pods("train.toy") == training, (
        "the run did not continue with the pods that were running when plimsoll was killed"
    )


def _steps(application: Application) -> int:
    """The number of steps of worker 0 in the logs in the run's directory."""
    logs = application.directory.glob(".plimsoll/targets/lab/runs/*/logs/train/toy/*-0*.log")
    return len({line for log in logs for line in log.read_text().splitlines() if "worker 0: step " in line})


@pytest.mark.series
@pytest.mark.parametrize("provider", ["podgroup", "jobset", "trainjob", "job"])
def test_every_provider_of_gangs_carries_the_training(up: Up, application: Application, provider: str) -> None:
    up(*ADDONS, *(["trainer"] if provider == "trainjob" else []))
    text = (application.directory / "plimsoll.yaml").read_text()
    (application.directory / "plimsoll.yaml").write_text(text.partition("  services:")[0])
    done = application.plimsoll("run", "--target", "lab", "--prefer", provider)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "version 1, accepted" in done.stdout


def test_kserve_keeps_the_servers_where_it_is_preferred(up: Up, application: Application) -> None:
    up(*ADDONS, "kserve")
    done = application.plimsoll("run", "--target", "lab", "--prefer", "kserve")
    assert done.returncode == 0, done.stdout + done.stderr
    (service,) = get("inferenceservices", namespace=application.name)
    until(
        lambda: ("Ready", "True") in _conditions(application.name, service["metadata"]["name"]),
        limit=60,
        what="KServe to report the service as Ready",
    )
    assert len(application.predictions("lab")) == ROWS
    again = application.plimsoll("run", "--target", "lab", "--prefer", "kserve", "--json")
    assert all(each["cached"] for each in json.loads(again.stdout)["steps"]), again.stdout
    removed = application.plimsoll("down", "--target", "lab")
    assert removed.returncode == 0, removed.stderr
    until(lambda: not application.left(), limit=60, what="the end of all that was made")


def _conditions(namespace: str, name: str) -> set[tuple[str, str]]:
    status = get("inferenceservice", name, namespace=namespace).get("status", {})
    return {(each["type"], each["status"]) for each in status.get("conditions", [])}


def test_a_worker_reads_the_accelerator_that_it_asked_for_and_another_sees_none(
    up: Up, application: Application
) -> None:
    up(*ADDONS, accelerated=1)
    text = (application.directory / "plimsoll.yaml").read_text()
    (application.directory / "plimsoll.yaml").write_text(text.partition("  services:")[0])
    held = "sum(bool(path.open('rb').read(16)) for path in pathlib.Path('/dev/plimsoll').glob('*'))"
    application.change('"resumed_from": done', f'"resumed_from": done, "devices": {held}', "train.py")
    gang = "workers: 2, retries: 2, resources: {cpu: 0.5}"
    application.change(gang, "resources: {cpu: 0.5, accelerators: 1}")
    assert _devices(application) == 1
    application.change("accelerators: 1", "accelerators: 0")
    # The resources of a step are not in its key. Only a changed script causes another training.
    application.change("shutil.copy", "# Without one.\nshutil.copy", "train.py")
    assert _devices(application) == 0


def _devices(application: Application) -> int:
    done = application.plimsoll("run", "--target", "lab", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return int(json.loads(done.stdout)["models"]["toy"]["metrics"]["devices"])


@pytest.mark.series
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
    application.change("workers: 2, retries: 2, resources: {cpu: 0.5}", "resources: {cpu: 64}")
    done = application.plimsoll("run", "--target", "lab")
    assert done.returncode == 2
    assert "train/toy requests 64 processor cores; lab has" in done.stderr
    assert "plimsoll.yaml:" in done.stderr
    assert not application.left()


@pytest.mark.series
def test_versions_share_the_traffic_at_the_gateway_and_change_without_a_failed_request(
    up: Up, application: Application, namespace: Namespace
) -> None:
    up(*ADDONS)
    (application.directory / "plimsoll.yaml").write_text(
        (application.directory / "plimsoll.yaml").read_text().partition("  batches:")[0]
    )
    assert application.plimsoll("run", "--target", "lab").returncode == 0
    namespace.pod("client")
    ask = Asking(namespace, application.name)
    until(lambda: ask.versions(1) == {"1": 1}, limit=60, what="a first answer at the gateway")
    application.change("shutil.copy", "# Another version of the same model.\nshutil.copy", "train.py")
    application.change("toy: {model: toy,", f"toy: {{model: {SHARES},")
    with ask.meanwhile() as seen:
        done = application.plimsoll("run", "--target", "lab")
        assert done.returncode == 0, done.stdout + done.stderr
        until(lambda: ask.versions(100)["2"] > 0, limit=60, what="an answer of the second version")
        # 30 % of 300 is 90. Six standard deviations of 7.9 hold in all but one of a billion runs.
        assert 43 <= ask.versions(300)["2"] <= 137
        assert ask.versions(20, "-H", "cohort:beta") == {"2": 20}
        servers = server_pods(application)
        application.change("weight: 70", "weight: 0")
        application.change("weight: 30", "weight: 100")
        assert application.plimsoll("run", "--target", "lab").returncode == 0
        until(lambda: ask.versions(50) == {"2": 50}, limit=60, what="all answers from the second version")
        assert server_pods(application) == servers, "a change of weights has replaced servers"
        application.change(_LATER, "toy")
        assert application.plimsoll("run", "--target", "lab").returncode == 0
        assert ask.versions(50) == {"2": 50}
    assert set(seen) == {"200"}, seen
    until(lambda: len(server_pods(application)) == 1, limit=60, what="the end of the old servers")


SHARES = "[{model: toy@1, weight: 70}, {model: toy, weight: 30, headers: {cohort: beta}}]"
_LATER = SHARES.replace("weight: 70", "weight: 0").replace("weight: 30", "weight: 100")


def test_a_model_that_nobody_trusted_has_signed_is_not_served(up: Up, application: Application) -> None:
    """The first test is the control: the same service starts when its trusted keys are unchanged."""
    up(*ADDONS)
    done = application.plimsoll("run", "--target", "lab")
    assert done.returncode == 0, done.stdout + done.stderr
    # No key is trusted any more.
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
