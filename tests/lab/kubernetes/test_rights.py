"""A run in the lab by an account that has exactly the printed rights, and none beside."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lab.kubectl import kubectl
from tests.lab.conftest import Up
from tests.lab.kubernetes.conftest import ROWS, Application

pytestmark = pytest.mark.lab
ADDONS = ("jobset", "kueue", "gateway", "registry")
ACCOUNT = "plimsoll-contract"


@pytest.fixture
def account(up: Up, application: Application) -> Iterator[str]:
    """A namespace with an account that has no rights yet; gives the account's name as RBAC knows it."""
    up(*ADDONS)
    kubectl("create", "namespace", application.name)
    kubectl("create", "serviceaccount", ACCOUNT, f"-n{application.name}")
    yield f"system:serviceaccount:{application.name}:{ACCOUNT}"
    kubectl("delete", "namespace", application.name, "--ignore-not-found", limit=120)


def test_run_status_predict_and_down_take_no_more_than_the_printed_rights(
    application: Application, account: str
) -> None:
    path = application.directory / "plimsoll.yaml"
    path.write_text(path.read_text().partition("  batches:")[0])
    printed = application.plimsoll("run", "--print-rbac", "--user", account, "--target", "lab")
    assert printed.returncode == 0, printed.stderr
    kubectl("apply", "--filename=-", stdin=printed.stdout)
    try:
        _become(application)
        for words in (("run",), ("status",), ("down",)):
            done = application.plimsoll(*words, "--target", "account")
            assert done.returncode == 0, done.stdout + done.stderr
            if words == ("run",):
                assert len(application.predictions("account")) == ROWS
    finally:
        kubectl("delete", "--filename=-", "--ignore-not-found", stdin=printed.stdout)
    assert [each for each in application.left() if not each.startswith("pod/")] == []


def _become(application: Application) -> None:
    """Have the application's commands act as the account."""
    token = kubectl("create", "token", ACCOUNT, f"-n{application.name}").strip()
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "--output=json"))
    config["users"][0]["user"] = {"token": token}
    config["contexts"][0]["name"] = config["current-context"] = "account"
    place = application.directory / "account.kubeconfig"
    place.write_text(json.dumps(config), encoding="utf-8")
    application.environment["KUBECONFIG"] = str(place)
