"""Ray on a cluster: Ray nodes in the pods of the gang, or a RayJob of KubeRay."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from lab.images import ray
from lab.images.libraries import with_libraries
from lab.images.python import python_base
from lab.images.store import ensure_archive, find_program
from lab.kubectl import get, kubectl
from tests.lab.cluster import until
from tests.lab.conftest import Up
from tests.lab.kubernetes.conftest import Application

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        os.environ.get("PLIMSOLL_LAB_BUILD") != "--all",
        reason="needs a further image of 200 MB, and KubeRay: 'make test-all' builds them; tests/frameworks runs Ray locally",
    ),
]
ADDONS = ("jobset", "kueue", "gateway", "registry")
RAY = """
import json, os, pathlib, shutil, time
import ray
ray.init()
print("squares of six numbers", flush=True)
@ray.remote(num_cpus=1)
def square(number):
    time.sleep(0.5)
    return number * number, ray.get_runtime_context().get_node_id()
found = ray.get([square.remote(number) for number in range(6)])
output = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
shutil.copy(os.environ["PLIMSOLL_INPUT_PREPARED"], output / "model.onnx")
figures = {"rows": sum(number for number, _ in found), "nodes": len({node for _, node in found})}
(output / "metrics.json").write_text(json.dumps(figures))
"""


def test_ray_has_its_nodes_in_the_pods_of_the_gang(up: Up, application: Application) -> None:
    up(*ADDONS)
    _trains_with_ray(application, f"ray=={ray.VERSION}")
    done = application.plimsoll("run", "--target", "lab", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["models"]["toy"]["metrics"] == {"rows": 55, "nodes": 2}


def test_ray_runs_as_a_ray_job_where_that_is_preferred(up: Up, application: Application) -> None:
    up(*ADDONS, "kuberay")
    _trains_with_ray(application)
    options = ("--target", "lab", "--prefer", "rayjob", "--base", f"oci-archive:{ensure_archive(ray.ray_image())}")
    plan = application.plimsoll("plan", *options)
    assert "rayjob: KubeRay keeps a Ray cluster for the training (as preferred)" in plan.stdout, plan.stderr
    done = application.plimsoll("run", *options, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["models"]["toy"]["metrics"] == {"rows": 55, "nodes": 2}
    assert [each["status"]["jobDeploymentStatus"] for each in get("rayjobs", namespace=application.name)] == [
        "Complete"
    ]
    logs = application.plimsoll("logs", "train/toy", "--target", "lab")
    assert "train/toy 1-0 │ squares of six numbers" in logs.stdout, logs.stdout
    until(lambda: not application.pods("train.toy"), limit=60, what="the end of the Ray cluster")
    removed = application.plimsoll("down", "--target", "lab")
    assert removed.returncode == 0, removed.stderr
    until(lambda: not application.left(), limit=60, what="the end of everything")


def test_ray_may_come_with_the_requirements(up: Up, application: Application) -> None:
    up(*ADDONS, "kuberay")
    _trains_with_ray(application, f"ray[default]=={ray.VERSION}")
    plain = python_base()
    with_bash = {**plain.files, **with_libraries(find_program("bash", "bash"), "bin/bash")}
    base = replace(plain, names=("lab.plimsoll.dev/python-with-bash:latest",), files=with_bash)
    done = application.plimsoll(
        "run", "--target", "lab", "--prefer", "rayjob", "--base", f"oci-archive:{ensure_archive(base)}", "--json"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["models"]["toy"]["metrics"] == {"rows": 55, "nodes": 2}


def test_a_ray_job_that_fails_says_the_commands_own_words(up: Up, application: Application) -> None:
    up(*ADDONS, "kuberay")
    _trains_with_ray(application)
    application.change("ray.init()", "raise SystemExit('there is nothing to learn')", "train.py")
    application.change("retries: 2", "retries: 0")
    options = ("--target", "lab", "--prefer", "rayjob", "--base", f"oci-archive:{ensure_archive(ray.ray_image())}")
    done = application.plimsoll("run", *options)
    assert done.returncode == 1
    assert "failed: there is nothing to learn" in done.stdout, done.stdout + done.stderr


def test_a_ray_job_whose_head_is_killed_is_handed_in_again(up: Up, application: Application) -> None:
    up(*ADDONS, "kuberay")
    _trains_with_ray(application)
    application.change("found = ", "time.sleep(15)\nfound = ", "train.py")
    options = ("--target", "lab", "--prefer", "rayjob", "--base", f"oci-archive:{ensure_archive(ray.ray_image())}")
    running = application.start("run", *options)
    until(lambda: _printed(application), limit=120, what="the first words of the training")
    (head,) = kubectl("get", "pods", f"-n{application.name}", "-lray.io/node-type=head", "--output=name").split()
    kubectl("delete", head, f"-n{application.name}", "--grace-period=0", "--force")
    output, _ = running.communicate(timeout=400)
    assert running.returncode == 0, output


def _printed(application: Application) -> bool:
    logs = application.directory.glob(".plimsoll/targets/lab/runs/*/logs/train/toy/*-0*.log")
    return any("squares of six numbers" in log.read_text() for log in logs)


def test_an_image_without_ray_is_told_at_once(up: Up, application: Application) -> None:
    up(*ADDONS, "kuberay")
    _trains_with_ray(application)
    done = application.plimsoll("run", "--target", "lab", "--prefer", "rayjob")
    assert done.returncode == 1
    assert "KubeRay needs ray, which is not in the image" in done.stdout, done.stdout + done.stderr


def _trains_with_ray(application: Application, requirement: str = "") -> None:
    path = application.directory / "plimsoll.yaml"
    path.write_text(path.read_text().partition("  services:")[0])
    application.change("workers: 2,", "workers: 2, framework: ray,")
    (application.directory / "train.py").write_text(RAY)
    if requirement:
        application.change("spec:\n", "spec:\n  environment: {requirements: requirements.txt}\n")
        (application.directory / "requirements.txt").write_text(f"{requirement}\n")
