"""Random histories of people who share the lab's cluster, with real pods, servers and keys."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from lab.kubectl import kubectl
from plimsoll.kubernetes.api import Api
from plimsoll.targets.kubernetes.target import KubernetesTarget
from plimsoll.targets.options import TargetOptions
from tests.lab.conftest import Up
from tests.runtime.conftest import linear_model
from tests.targets.kubernetes.histories import Histories
from tests.targets.kubernetes.scene import Stage

pytestmark = [pytest.mark.lab, pytest.mark.series]

COUNT = int(os.environ.get("PLIMSOLL_HISTORIES", "5"))
"""How many histories are tried. A hundred take about two hours."""
STEPS = 10
ADDONS = ("registry",)


class LabCluster:
    """The lab as an administrator sees and changes it."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        found = self._api.find(api_version, kind, name, namespace)
        return found and {**found, "apiVersion": api_version, "kind": kind}

    def list(self, api_version: str, kind: str, namespace: str = "", selector: str = "") -> list[dict[str, Any]]:
        found = self._api.list(api_version, kind, namespace, selector)
        return [{**each, "apiVersion": api_version, "kind": kind} for each in found]

    def put(self, manifest: dict[str, Any]) -> dict[str, Any]:
        place = (manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"])
        standing = self.find(*place, manifest["metadata"]["namespace"])
        if standing is None:
            return self._api.create(manifest)
        changed: dict[str, Any] = {part: manifest[part] for part in ("data", "spec") if part in manifest}
        return self._api.patch(standing, changed)

    def delete(self, manifest: dict[str, Any], grace: int | None = None) -> None:
        metadata = manifest["metadata"]
        self._api.delete(manifest["apiVersion"], manifest["kind"], metadata["name"], metadata["namespace"], grace)

    def wait_for(self, question: Callable[[], object], seconds: float = 10.0) -> bool:
        deadline = time.monotonic() + seconds
        while not question():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True


class LabStage(Stage):
    """A namespace of the lab. Servers verify the signatures of their models themselves."""

    endless = "python -c 'import time; time.sleep(3600)'"
    patience = 120.0

    def __init__(self) -> None:
        self.namespace = f"histories-{secrets.token_hex(3)}"
        self._api = Api("lab")
        self.cluster = LabCluster(self._api)
        self._targets: list[KubernetesTarget] = []
        self._api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})

    def target(self, application: str, directory: Path) -> KubernetesTarget:
        made = KubernetesTarget("lab", directory, application, TargetOptions(namespace=self.namespace))
        made.state.make()
        self._targets.append(made)
        return made

    def model(self, path: Path, person: str) -> None:
        linear_model(path)

    def signed(self, digest: str, key: str) -> None:
        """The registry knows."""

    def close(self) -> None:
        for each in self._targets:
            each.close()
        self._api.close()
        kubectl("delete", "namespace", self.namespace, "--wait=false")


@pytest.mark.timeout(6 * 3600)
def test_whatever_people_do_in_the_lab_nobody_s_things_are_touched_by_another(up: Up, tmp_path: Path) -> None:
    up(*ADDONS)
    begun: list[LabStage] = []

    class InTheLab(Histories):
        """Each history has a namespace of its own."""

        def __init__(self) -> None:
            begun.append(LabStage())
            super().__init__(begun[-1], tmp_path / str(len(begun)))

    run_state_machine_as_test(
        InTheLab,
        settings=settings(
            max_examples=COUNT,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert len(begun) >= COUNT
