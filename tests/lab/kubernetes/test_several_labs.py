"""One run over two real clusters whose links are cut in the middle: train where the rows stay, serve elsewhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import layout
from lab.network.link import SETTINGS, set_link
from tests.lab.cluster import until
from tests.lab.conftest import Up
from tests.lab.kubernetes.conftest import Application
from tests.lab.second_lab import KUBECONFIG, light, light_kubectl, running_light_lab

pytestmark = [pytest.mark.lab, pytest.mark.series]
PARTS = {
    "{source: numbers.csv}": "{source: numbers.csv, stay: onprem, target: onprem}",
    "{model: toy, resources: {cpu: 0.5}}": "{model: toy, target: edge, resources: {cpu: 0.2}}",
    "  services:\n": "  targets:\n    onprem: {context: onprem}\n    edge: {context: edge}\n  services:\n",
    "    table: {source: table.parquet}\n": "",
}


@pytest.fixture
def both(up: Up, application: Application) -> Iterator[Application]:
    """The application over both labs, without batches."""
    up("jobset", "kueue", "gateway", "registry")
    with running_light_lab("registry"):
        for old, new in PARTS.items():
            application.change(old, new)
        text = (application.directory / "plimsoll.yaml").read_text()
        (application.directory / "plimsoll.yaml").write_text(text[: text.index("  batches:")])
        application.change("range(done, 2)", "range(done, 30)", "train.py")
        kubeconfig = application.directory / "kubeconfig"
        kubeconfig.write_text(_joined({"onprem": layout.KUBECONFIG, "edge": KUBECONFIG}))
        application.environment["KUBECONFIG"] = str(kubeconfig)
        try:
            yield application
        finally:
            SETTINGS.unlink(missing_ok=True)


def _joined(configs: dict[str, Path]) -> str:
    """One kubeconfig with a context for each."""
    lists: dict[str, list[dict[str, Any]]] = {"clusters": [], "users": [], "contexts": []}
    for name, path in configs.items():
        found = yaml.safe_load(path.read_text())
        lists["clusters"].append({"name": name, "cluster": found["clusters"][0]["cluster"]})
        lists["users"].append({"name": name, "user": found["users"][0]["user"]})
        lists["contexts"].append({"name": name, "context": {"cluster": name, "user": name}})
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **lists})


def _lines(application: Application) -> list[dict[str, Any]]:
    journals = sorted((application.directory / ".plimsoll" / "runs").glob("*/journal.jsonl"))
    return [json.loads(line) for journal in journals for line in journal.read_text().splitlines()]


def test_a_run_over_two_clusters_ends_although_both_links_are_cut(both: Application) -> None:
    with both.start("run") as running:
        try:
            until(lambda: running.poll() is not None or _trains(both), limit=240, what="the start of the training")
            set_link(cut=True)
            assert light("link", "cut").returncode == 0
            until(lambda: running.poll() is not None or "does not answer" in _log(both), limit=120, what="the silence")
            SETTINGS.unlink()
            assert light("link", "mend").returncode == 0
        except AssertionError:
            running.kill()
            raise
        printed, _ = running.communicate(timeout=400)
    assert running.returncode == 0, printed
    served = light_kubectl("get", "deployments", f"-n{both.name}", "-o", "name").stdout
    assert f"{both.name}-toy" in served
    carried = [line["fact"] for line in _lines(both) if line["fact"]["event"] == "carried"]
    ways = Counter((line["step"], line["to"]) for line in carried)
    assert ("register/toy", "edge") in ways
    assert not [line for line in carried if line["to"] == "edge" and line["step"] != "register/toy"], carried
    assert set(ways.values()) == {1}, carried
    again = both.plimsoll("run", "--json")
    assert all(each["cached"] for each in json.loads(again.stdout)["steps"]), again.stdout
    removed = both.plimsoll("down")
    assert removed.returncode == 0, removed.stderr


def _trains(application: Application) -> bool:
    """Whether a worker has begun its steps."""
    logs = (application.directory / ".plimsoll" / "runs").glob("*/logs/train/**/*")
    return any("step 1" in path.read_text() for path in logs if path.is_file())


def _log(application: Application) -> str:
    return json.dumps(_lines(application))
