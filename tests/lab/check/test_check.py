"""`plimsoll check` on the lab: with exactly the rights that it prints, without rights, and when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab import layout
from lab.kubectl import apply, kubectl
from tests.lab.cluster import Manifest, Namespace, until
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab
MUSTS = 8


def plimsoll(*arguments: str, config: Path, limit: float = 520) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "plimsoll", *arguments],
        env=environment(config),
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )


def environment(config: Path) -> dict[str, str]:
    return {**os.environ, "KUBECONFIG": str(config), "XDG_CONFIG_HOME": str(config.parent / "config")}


@pytest.fixture
def account(up: Up, tmp_path: Path) -> Iterator[Path]:
    """A kubeconfig with the context `mine` for a service account that has no rights yet."""
    up(accelerated=1)
    namespace = Namespace()
    kubectl("create", "serviceaccount", "checker", f"-n{namespace.name}")
    token = kubectl("create", "token", "checker", f"-n{namespace.name}").strip()
    config: Manifest = yaml.safe_load(layout.KUBECONFIG.read_text())
    config["users"] = [{"name": "checker", "user": {"token": token}}]
    cluster = config["clusters"][0]["name"]
    config["contexts"] = [{"name": "mine", "context": {"cluster": cluster, "user": "checker"}}]
    config["current-context"] = "mine"
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(config))
    yield path
    kubectl("delete", "clusterrolebinding,clusterrole", "plimsoll-check", "--ignore-not-found")
    namespace.delete()


def grant(config: Path) -> None:
    """Gives the account the rights that `--print-rbac` prints."""
    printed = plimsoll("check", "--print-rbac", config=config)
    assert printed.returncode == 0, printed.stderr
    apply(printed.stdout)
    token = json.loads(config.read_text())["users"][0]["user"]["token"]
    subject = json.loads(_payload(token))["sub"]
    namespace, name = subject.removeprefix("system:serviceaccount:").split(":")
    binding = ("create", "clusterrolebinding", "plimsoll-check", "--clusterrole=plimsoll-check")
    kubectl(*binding, f"--serviceaccount={namespace}:{name}")


def _payload(token: str) -> bytes:
    import base64

    part = token.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def left_behind() -> list[str]:
    label = "-lplimsoll.dev/check"
    kinds = ("namespaces", "clusterqueues.kueue.x-k8s.io", "resourceflavors.kueue.x-k8s.io")
    return [name for kind in kinds for name in kubectl("get", kind, label, "--output=name").split()]


@pytest.mark.timeout(700)
def test_every_must_is_shown_with_the_printed_rights_by_a_check_that_was_killed_and_nothing_is_left(
    up: Up, account: Path, tmp_path: Path
) -> None:
    up("jobset", "kueue", "gateway", "custom-metrics", "autoscaler", accelerated=1)
    grant(account)
    bundle = tmp_path / "bundle"
    # The SHOULDs run too, as they must not need more rights than the printed ones.
    begun = [sys.executable, "-m", "plimsoll", "check", "--target=mine", f"--output={bundle}"]
    decided = bundle / "probes" / "high_performance_networking.jsonl"
    nothing = subprocess.DEVNULL
    with subprocess.Popen(begun, env=environment(account), stdout=nothing, stderr=nothing) as running:
        until(lambda: decided.exists() and decided.stat().st_size, limit=60, what="the first verdict")
        time.sleep(4)
        running.kill()
    kept = decided.read_bytes()
    resume = ("check", "--target=mine", f"--resume={bundle}")
    done = plimsoll(*resume, config=account, limit=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"MUST: {MUSTS} pass" in done.stdout
    assert decided.read_bytes() == kept
    again = plimsoll(*resume, "--json", config=account, limit=60)
    assert again.returncode == 2
    assert "this check is complete" in again.stdout
    token = json.loads(account.read_text())["users"][0]["user"]["token"]
    for path in bundle.rglob("*"):
        if path.is_file():
            assert token not in path.read_text(), path
    until(lambda: not left_behind(), limit=240, what="the end of what was made")
    _alter_and_verify(bundle, account)


def _alter_and_verify(bundle: Path, account: Path) -> None:
    assert plimsoll("verify", str(bundle), config=account).returncode == 0
    record = bundle / "probes" / "gang_scheduling.jsonl"
    record.write_text(record.read_text().replace('"bound":0', '"bound":1'))
    altered = plimsoll("verify", str(bundle), config=account)
    assert altered.returncode == 1
    assert "probes/gang_scheduling.jsonl: altered" in altered.stdout
    assert "the verdict of gang_scheduling differs from the record" in altered.stdout


@pytest.mark.timeout(700)
def test_routing_by_a_picker_is_shown_with_the_printed_rights(up: Up, account: Path, tmp_path: Path) -> None:
    up("kueue", "inference-extension", accelerated=1)
    grant(account)
    only = ("--only=advanced_inference_ingress", f"--output={tmp_path / 'bundle'}", "--json")
    done = plimsoll("check", "--target=mine", *only, config=account)
    found = {each["id"]: each for each in json.loads(done.stdout)["verdicts"]}["advanced_inference_ingress"]
    assert found["verdict"] == "pass", found
    until(lambda: not left_behind(), limit=240, what="the end of what was made")


@pytest.mark.parametrize(("addon", "name"), [("trainer", "Kubeflow Trainer"), ("kserve", "KServe")])
def test_every_operator_that_is_there_has_to_do_its_work(
    up: Up, account: Path, tmp_path: Path, addon: str, name: str
) -> None:
    up("jobset", "kueue", addon, accelerated=1)
    grant(account)
    only = ("--only=robust_controller", f"--output={tmp_path / 'bundle'}", "--json")
    done = plimsoll("check", "--target=mine", *only, config=account)
    found = {each["id"]: each for each in json.loads(done.stdout)["verdicts"]}["robust_controller"]
    assert found["verdict"] == "pass", found
    for each in ("JobSet", name):
        assert f"{each}: refused by" in found["figure"]
    until(lambda: not left_behind(), limit=240, what="the end of what was made")


def test_missing_rights_are_named_before_anything_is_made(up: Up, account: Path, tmp_path: Path) -> None:
    up("kueue", accelerated=1)
    until(lambda: not left_behind(), limit=240, what="the end of what earlier checks made")
    done = plimsoll("check", "--target=mine", f"--output={tmp_path / 'bundle'}", config=account)
    assert done.returncode == 1
    assert "you lack " in done.stderr
    assert "--print-rbac" in done.stderr
    assert "Traceback" not in done.stderr
    assert not left_behind()


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.series), signal.SIGKILL])
def test_a_check_that_is_broken_off_leaves_nothing_after_clean(up: Up, tmp_path: Path, number: signal.Signals) -> None:
    up("jobset", "kueue", accelerated=1)
    config = layout.KUBECONFIG
    command = [
        sys.executable,
        "-m",
        "plimsoll",
        "check",
        "--target=lab",
        "--only=gang_scheduling",
        f"--output={tmp_path / 'b'}",
    ]
    own = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    with subprocess.Popen(command, env=own, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        until(left_behind, limit=30, what="a namespace of the check")
        time.sleep(3)
        running.send_signal(number)
        output, errors = running.communicate(timeout=60)
    assert "Traceback" not in errors + output
    if number == signal.SIGKILL:
        assert left_behind(), "control: a kill leaves objects"
        cleaned = subprocess.run(
            [sys.executable, "-m", "plimsoll", "check", "--target=lab", "--clean"],
            env=own,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Namespace/plimsoll-" in cleaned.stdout, cleaned.stderr
    else:
        assert running.returncode == 130
    until(lambda: not left_behind(), limit=240, what="the end of what was made")
    assert config.exists()


@pytest.mark.series
def test_an_image_that_cannot_be_had_is_told_for_everything_that_needs_it(up: Up, tmp_path: Path) -> None:
    up("jobset", "kueue", accelerated=1)
    command = [sys.executable, "-m", "plimsoll", "check", "--target=lab", f"--output={tmp_path / 'b'}", "--json"]
    more = ["--only=robust_controller", "--only=gang_scheduling", "--images=127.0.0.1:9/nothing"]
    own = {**os.environ, "KUBECONFIG": str(layout.KUBECONFIG), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    done = subprocess.run([*command, *more], env=own, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 3, done.stderr
    tried = [each for each in json.loads(done.stdout)["verdicts"] if each["verdict"] != "skipped"]
    assert [each["verdict"] for each in tried] == ["environment-error"] * 2
    for each in tried:
        assert "127.0.0.1:9/nothing" in each["cause"]
        assert "--images" in each["remedy"]
    until(lambda: not left_behind(), limit=240, what="the end of what was made")


def test_a_cluster_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    cluster = {"name": "gone", "cluster": {"server": "https://127.0.0.1:9"}}
    context = {"name": "gone", "context": {"cluster": "gone", "user": "me"}}
    user = {"name": "me", "user": {"token": "x"}}
    config.write_text(json.dumps({"clusters": [cluster], "contexts": [context], "users": [user]}))
    done = plimsoll("check", "--target=gone", f"--output={tmp_path / 'bundle'}", config=config)
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr
    wrong = plimsoll("check", "--target=other", config=config)
    assert wrong.returncode == 2
    assert "there are: gone" in wrong.stderr
