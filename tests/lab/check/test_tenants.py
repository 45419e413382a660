"""Tenants of the lab: made, attacked by each other's pods and tokens, and removed without a trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import layout
from lab.kubectl import kubectl
from tests.lab.cluster import until
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab
NAMES = ("lab-tenant-a", "lab-tenant-b")
LABEL = "-lplimsoll.dev/tenant"
SMALL = ("--cpu", "1", "--memory", "1Gi")


def plimsoll(*arguments: str, home: Path, config: Path = layout.KUBECONFIG) -> subprocess.CompletedProcess[str]:
    own = {**os.environ, "KUBECONFIG": str(config), "XDG_CONFIG_HOME": str(home / "config")}
    command = [sys.executable, "-m", "plimsoll", *arguments]
    done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=520, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def home(up: Up, tmp_path: Path) -> Iterator[Path]:
    up("kueue", accelerated=1)
    yield tmp_path
    for name in NAMES:
        plimsoll("tenant", "delete", name, "--target", "lab", "--yes", home=tmp_path)


def test_a_tenant_is_made_once_stands_and_is_gone_without_a_trace(home: Path) -> None:
    asked = (NAMES[0], "--target", "lab", *SMALL, "--queue", "--images", "registry.k8s.io/e2e-test-images")
    made = plimsoll("tenant", "create", *asked, home=home)
    assert made.returncode == 0, made.stdout + made.stderr
    again = plimsoll("tenant", "create", *asked, home=home)
    assert "nothing was changed" in again.stdout, again.stdout + again.stderr

    def stands() -> bool:
        return plimsoll("tenant", "show", NAMES[0], "--target", "lab", home=home).returncode == 0

    until(stands, limit=30, what="a tenant that stands as it was asked for")
    config = home / "tenant.yaml"
    written = plimsoll("tenant", "kubeconfig", NAMES[0], "--target", "lab", "--output", str(config), home=home)
    assert written.returncode == 0, written.stderr
    mine = (f"--kubeconfig={config}", "auth", "can-i")
    assert kubectl(*mine, "create", "jobs.batch").strip() == "yes"
    gone = plimsoll("tenant", "delete", NAMES[0], "--target", "lab", "--yes", home=home)
    assert gone.returncode == 0, gone.stderr
    kinds = "clusterroles,clusterrolebindings,roles,rolebindings,validatingadmissionpolicies,namespaces"
    assert kubectl("get", kinds, "--all-namespaces", LABEL, "--output=name").split() == []


@pytest.mark.timeout(600)
def test_no_way_leads_from_one_tenant_of_the_lab_to_another(home: Path) -> None:
    bundle = home / "bundle"
    check = ("check", "--target=lab", "--profile=tenants", f"--output={bundle}", "--json", "--timeout=420")
    done = plimsoll(*check, home=home)
    (found,) = json.loads(done.stdout)["verdicts"]
    assert found["verdict"] == "pass", found
    assert done.returncode == 0
    assert int(found["figure"].partition(" ")[0]) >= 80
    verified = plimsoll("verify", str(bundle), home=home)
    assert verified.returncode == 0, verified.stdout
    until(lambda: not kubectl("get", "namespaces", LABEL, "--output=name").split(), limit=240, what="the end of both")
