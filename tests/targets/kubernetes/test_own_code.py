"""Services of the user's own code on a cluster: what their pods carry, and what the servers in them are told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest

from plimsoll.kinds.predictors import ServedStep, Tensor
from plimsoll.kinds.serve import Serve
from plimsoll.planning.steps import AnyStep, InputFile
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.session import KubernetesSession
from plimsoll.targets.predictors import identity
from tests.targets.kubernetes.bench import APPLICATION, Bench, Manifest, done
from tests.targets.kubernetes.serving import Server, inference, registered, registration

pytestmark = pytest.mark.slow

INPUTS = {"x": Tensor(datatype="FP32", shape=(-1, 2))}
SCRIPT = "def predict(inputs):\n    return {'y': inputs['x'].sum(axis=1)}\n"


@pytest.fixture
def server(bench: Bench) -> Iterator[Server]:
    with inference(bench) as found:
        yield found


@pytest.fixture
def session(bench: Bench, server: Server) -> KubernetesSession:
    return bench.session()


def function(bench: Bench, name: str = "api", **more: object) -> ServedStep:
    """A function in a script of the application."""
    (bench.directory / "serve.py").write_text(SCRIPT)
    files = (("serve.py", hashlib.sha256(SCRIPT.encode()).hexdigest()),)
    return ServedStep(name=name, command="python serve.py", script="serve.py", inputs=INPUTS, files=files, **more)  # type: ignore[arg-type]


def container(bench: Bench) -> Manifest:
    found = bench.find("Deployment", names.service(APPLICATION, "api"), "apps/v1")
    assert found is not None
    spec: Manifest = found["spec"]["template"]["spec"]
    return {**spec["containers"][0], "pulled": [each["command"] for each in spec.get("initContainers", [])]}


def told(bench: Bench) -> Manifest:
    """The model of the service file that the servers read."""
    found = bench.cluster.list("v1", "ConfigMap", APPLICATION, f"{names.SERVICE}=api")
    (text,) = [each["data"]["service.json"] for each in found if "service.json" in each["data"]]
    (model,) = json.loads(text)["models"]
    return dict(model)


def serve(bench: Bench, **settings: object) -> AnyStep:
    return bench.step("api", Serve(service="api", **settings))  # type: ignore[arg-type]


def test_a_function_without_a_model_is_served_by_an_image_with_its_code(
    bench: Bench, session: KubernetesSession
) -> None:
    work = Serve(service="api", model="", own=function(bench, parameters={"PLIMSOLL_PARAM_TOP": "3"}))
    done(session, bench.step("api", work))
    server, model = container(bench), told(bench)
    assert server["command"][:4] == ["python", "-P", "-m", "plimsoll.runtime.server"]
    assert "/steps@sha256:" in server["image"]
    assert server["startupProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert server["pulled"] == []
    assert (model["name"], model["version"], model["digest"]) == ("api", "1", f"sha256:{identity(work)}")
    assert (model["code"]["argv"], model["code"]["script"]) == (["python", "serve.py"], "serve.py")
    assert model["code"]["environment"]["PLIMSOLL_PARAM_TOP"] == "3"
    assert model["code"]["files"] == {"serve.py": hashlib.sha256(SCRIPT.encode()).hexdigest()}


def test_a_function_with_a_model_gets_its_signed_files_wherever_these_are_no_onnx(
    bench: Bench, session: KubernetesSession
) -> None:
    register = registered(bench, session)
    done(session, serve(bench, model="triage", register_key=register.key, own=function(bench)))
    server, model = container(bench), told(bench)
    (puller,) = server["pulled"]
    assert puller[3] == registration(session, register).reference
    assert puller[-1] == model["path"]
    assert model["digest"] == registration(session, register).digest
    assert list(model["files"]) == [f"{model['path']}/model.onnx"]


def test_a_pipeline_brings_the_models_of_its_steps(bench: Bench, session: KubernetesSession) -> None:
    register = registered(bench, session)
    steps = (function(bench, "clean"), ServedStep(name="triage", model="triage", register_key=register.key))
    done(session, serve(bench, model="", pipeline=steps))
    server, model = container(bench), told(bench)
    (puller,) = server["pulled"]
    assert [each["name"] for each in model["steps"]] == ["clean", "triage"]
    assert model["steps"][1]["path"] == f"{puller[-1]}/model.onnx"


def test_drift_of_code_is_judged_by_a_reference_that_a_pod_with_the_code_makes(
    bench: Bench, session: KubernetesSession
) -> None:
    (bench.directory / "table.csv").write_text("x\n1\n")
    bench.does("run/table", lambda pod: pod.leave(table_csv="x\n1\n"))
    table = bench.command("table", "table.csv")
    done(session, table)
    reference = InputFile(step=table.name, key=table.key, name="table", file="table.csv")
    register = registered(bench, session)
    settings = {"model": "triage", "register_key": register.key, "own": function(bench), "reference": reference}
    done(session, serve(bench, **settings))
    (pod,) = [each for each in bench.begun if each.task.action == "reference"]
    [code] = json.loads(pod.task.arguments[pod.task.arguments.index("--code") + 1])["models"]
    assert code["path"] == told(bench)["path"]
    assert pod.running.pod["spec"]["initContainers"][0]["command"][-1] == code["path"]
    assert "/steps@sha256:" in pod.running.pod["spec"]["containers"][0]["image"]
    assert '"drift":[{' in container(bench)["command"][-1]
