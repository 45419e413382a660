"""`plimsoll promote --target lab`: weights of a route on a real cluster, with requests all the while."""

from __future__ import annotations

import json
import signal
import time

import pytest

from lab.kubectl import get, kubectl
from tests.lab.cluster import Namespace, until
from tests.lab.conftest import Up
from tests.lab.kubernetes.asking import Asking, server_pods
from tests.lab.kubernetes.conftest import Application

pytestmark = pytest.mark.lab
ADDONS = ("jobset", "kueue", "gateway", "registry")
PACE = ("--steps", "50,100", "--requests", "20", "--hold", "1", "--limit", "90")


@pytest.fixture
def serving(up: Up, application: Application, namespace: Namespace) -> Asking:
    """The application serves version 1, as its file says, and version 2 is registered."""
    up(*ADDONS)
    path = application.directory / "plimsoll.yaml"
    path.write_text(path.read_text().partition("  batches:")[0])
    assert application.plimsoll("run", "--target", "lab").returncode == 0
    application.change("shutil.copy", "# Another version of the same model.\nshutil.copy", "train.py")
    application.change("toy: {model: toy,", "toy: {model: toy@1,")
    done = application.plimsoll("run", "--target", "lab")
    assert done.returncode == 0, done.stdout + done.stderr
    namespace.pod("client")
    asking = Asking(namespace, application.name)
    until(lambda: asking.versions(1) == {"1": 1}, limit=60, what="a first answer at the gateway")
    return asking


def test_a_promotion_moves_the_requests_without_a_failed_one_and_a_killed_one_is_undone(
    application: Application, serving: Asking
) -> None:
    with serving.meanwhile() as seen:
        running = application.start("promote", "toy@2", "--target", "lab", "--steps", "50,100", "--hold", "300")
        until(lambda: serving.versions(20)["2"] > 0, limit=180, what="an answer of the second version")
        # It renews its lease while it lives; after its end nobody knows how long a busy machine takes to look.
        busy = application.plimsoll("promote", "toy@2", "--target", "lab", *PACE)
        assert busy.returncode == 1
        assert "another promotion into this service" in busy.stderr
        running.send_signal(signal.SIGKILL)
        running.communicate()
        assert "a promotion" in application.plimsoll("status", "--target", "lab").stdout
        _age_the_lease(application)
        done = application.plimsoll("promote", "toy@2", "--target", "lab", *PACE)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "was interrupted: the weights are restored" in done.stdout
        assert "toy@2 answers all requests" in done.stdout
        assert serving.versions(50) == {"2": 50}
    assert set(seen) == {"200"}, seen
    until(lambda: len(server_pods(application)) == 1, limit=60, what="the end of the old servers")
    again = application.plimsoll("run", "--target", "lab", "--json")
    assert all(each["cached"] for each in json.loads(again.stdout)["steps"]), again.stdout
    assert serving.versions(20) == {"2": 20}
    report = application.plimsoll("report", "--target", "lab")
    assert report.returncode == 0, report.stderr
    assert report.stdout.strip().endswith("report.html")


def _age_the_lease(application: Application) -> None:
    """Let the lease of the killed promotion run out, without waiting for it."""
    (lease,) = [each for each in get("leases", namespace=application.name) if "promotion" in each["metadata"]["name"]]
    past = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - 600))
    change = json.dumps({"spec": {"renewTime": past}})
    name = lease["metadata"]["name"]
    kubectl("patch", "lease", name, f"-n{application.name}", "--type=merge", f"-p={change}")
