"""Services by Endpoints of Amazon SageMaker: their objects, their states, and a container that really answers."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from plimsoll.application.sagemaker import SageMaker
from plimsoll.errors import PlimsollError
from plimsoll.kinds.serve import ServeResult
from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.cluster import SAGEMAKER
from plimsoll.planning.steps import AnyStep, Plan
from plimsoll.runtime.pod_task import WORK
from plimsoll.targets.features import PLAN_CHECK, TRAFFIC
from plimsoll.targets.kubernetes.reasons.ack import endpoint_state
from plimsoll.targets.kubernetes.target import KubernetesTarget
from plimsoll.targets.kubernetes.work import endpoint
from tests.servers import free_port
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, Pod, done
from tests.targets.kubernetes.real_pods import on_a_node
from tests.targets.kubernetes.serving import register_step, registered, serve_step, shares

pytestmark = pytest.mark.slow

ASKED = SageMaker(
    role="arn:aws:iam::123456789012:role/serving",
    output="s3://bucket/out",
    instance="ml.m5.xlarge",
    serve="ml.c5.large",
)
CRDS = Path(__file__).with_name("sagemaker_crds.yaml")
META = {"ownerAccountID": "123456789012", "region": "eu-west-1"}
NAME = "shop-api"


@pytest.fixture
def ack(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A cluster that has the controller's definitions."""
    monkeypatch.setattr(endpoint, "LOOK", 0.05)
    for each in yaml.safe_load_all(CRDS.read_text()):
        bench.cluster.put(each)
    return bench


def target(bench: Bench) -> KubernetesTarget:
    # Trainings stay in pods, whose functions leave models.
    return bench.target(sagemaker=ASKED, called="cloud", prefer=("pods",))


def standing(bench: Bench, kind: str, name: str = NAME) -> dict[str, Any] | None:
    return bench.find(kind, name, SAGEMAKER)


def says(bench: Bench, kind: str, name: str, **status: Any) -> None:
    """Write what the controller would write of an object."""
    found = standing(bench, kind, name)
    assert found is not None
    bench.cluster.put({**found, "status": {"ackResourceMetadata": META, "conditions": [], **status}})


def in_service(bench: Bench) -> None:
    """SageMaker leads requests to what the Endpoint names."""
    found = standing(bench, "Endpoint")
    assert found is not None
    config = found["spec"]["endpointConfigName"]
    says(bench, "Endpoint", NAME, endpointStatus="InService", latestEndpointConfigName=config)


def brought_up(bench: Bench, step: AnyStep) -> ServeResult:
    """A service that SageMaker has brought up."""
    before = standing(bench, "Endpoint")
    session = bench.session(target(bench))
    carried = Carried(session.start(step, 1))
    changed = lambda: (standing(bench, "Endpoint") or {}).get("spec") not in (None, (before or {}).get("spec"))  # noqa: E731
    assert bench.cluster.wait_for(changed, 20), carried.seen
    in_service(bench)
    end = carried.end()
    assert end.outcome == "done", end.reason
    result = session.result(step)
    assert isinstance(result, ServeResult)
    return result


def test_versions_are_models_with_their_shares_and_the_endpoint_leads_to_them(ack: Bench) -> None:
    session = ack.session(target(ack))
    registered(ack, session, "first")
    model = registered(ack, session, "second")
    step = serve_step(ack, model, shares=shares(v1=90, v2=10))
    result = brought_up(ack, step)
    assert (result.url, result.model) == ("sagemaker:shop-api", "triage@1, triage@2")
    found = standing(ack, "Endpoint")
    assert found is not None
    config = standing(ack, "EndpointConfig", found["spec"]["endpointConfigName"])
    assert config is not None
    variants = config["spec"]["productionVariants"]
    assert {each["variantName"]: each["initialVariantWeight"] for each in variants} == {"1": 90, "2": 10}
    assert {each["instanceType"] for each in variants} == {"ml.c5.large"}
    assert ack.objects("Deployment", "apps/v1") == []
    api = Api(ack.cluster.context)
    for kind in ("Model", "EndpointConfig", "Endpoint"):
        for name in ack.objects(kind, SAGEMAKER):
            spec = (standing(ack, kind, name) or {})["spec"]
            fresh = {"apiVersion": SAGEMAKER, "kind": kind, "metadata": {"name": "x", "namespace": APPLICATION}}
            # A field that the schema does not know would have been dropped.
            assert api.create({**fresh, "spec": spec}, dry_run=True)["spec"] == spec
    api.close()
    assert dict(target(ack).services()) == {"api": "sagemaker:shop-api"}


def test_a_new_version_has_objects_of_its_own_and_those_of_before_go_once_requests_are_led_over(ack: Bench) -> None:
    session = ack.session(target(ack))
    first = registered(ack, session, "first")
    brought_up(ack, serve_step(ack, first))
    before = ack.objects("Model", SAGEMAKER)
    second = registered(ack, session, "second")
    result = brought_up(ack, serve_step(ack, second))
    after = ack.objects("Model", SAGEMAKER)
    assert result.model == "triage@2"
    assert (len(before), len(after)) == (1, 1)
    assert before != after
    found = target(ack)
    found.remove()
    assert ack.objects("Endpoint", SAGEMAKER) == ack.objects("EndpointConfig", SAGEMAKER) == []


def test_what_sagemaker_refuses_of_a_model_ends_the_step_and_is_not_tried_again(ack: Bench) -> None:
    session = ack.session(target(ack))
    step = serve_step(ack, registered(ack, session))
    carried = Carried(session.start(step, 1))
    assert ack.cluster.wait_for(lambda: standing(ack, "Endpoint") is not None, 20)
    (name,) = ack.objects("Model", SAGEMAKER)
    refused = {"type": "ACK.Terminal", "status": "True", "message": "ValidationException: no such image"}
    says(ack, "Model", name, conditions=[refused])
    end = carried.end()
    assert end.reason == f"SageMaker refuses the Model {name}: ValidationException: no such image"
    assert session.result(step) is None


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        ({}, "", "has not looked at it yet"),
        ({"endpointStatus": "Creating"}, "", "starts its machines"),
        ({"endpointStatus": "InService", "latestEndpointConfigName": "old"}, "", "leads requests"),
        ({"endpointStatus": "InService", "latestEndpointConfigName": "new"}, "done", ""),
        ({"endpointStatus": "RollingBack"}, "", "leads it back"),
        ({"endpointStatus": "Failed", "failureReason": "no ping."}, "failed", "no ping"),
        ({"endpointStatus": "OutOfService"}, "failed", "out of service"),
    ],
)
def test_states_of_an_endpoint_are_ours(status: dict[str, Any], state: str, words: str) -> None:
    found = endpoint_state({"spec": {"endpointConfigName": "new"}, "status": status})
    assert found.state == state
    assert words in found.words


def test_a_promotion_and_more_than_versions_of_a_model_are_refused(ack: Bench) -> None:
    session = ack.session(target(ack))
    step = serve_step(ack, registered(ack, session))
    brought_up(ack, step)
    with pytest.raises(PlimsollError, match="the traffic of api is SageMaker's"):
        target(ack).features.require(TRAFFIC)("triage", None, lambda _: None, lambda: False)
    check = target(ack).features.require(PLAN_CHECK)
    shadow = serve_step(ack, registered(ack, session), shares=shares(v1=100))
    assert not check(Plan(application=APPLICATION, target="memory", steps=(shadow,)))


def doubling_model() -> bytes:
    """An ONNX model that gives each value twice."""
    onnx = pytest.importorskip("onnx")
    numbers = onnx.TensorProto.FLOAT
    given = onnx.helper.make_tensor_value_info("x", numbers, [None, 2])
    made = onnx.helper.make_tensor_value_info("y", numbers, [None, 2])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "x"], ["y"])], "doubles", [given], [made])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content


@contextlib.contextmanager
def container(model: dict[str, Any], place: Path) -> Iterator[str]:
    """The container of a Model, started as SageMaker starts it; gives its address once it answers its ping."""
    port = free_port()
    variables = {name: value.replace(WORK, str(place / "work")) for name, value in joined(model, place).items()}
    environment = {
        **on_a_node(),
        **variables,
        "PLIMSOLL_SAGEMAKER": str(place),
        "SAGEMAKER_BIND_TO_PORT": str(port),
    }
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "plimsoll.runtime.sagemaker", "serve"], stdout=log, stderr=log, env=environment
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, (place / "log").read_text()
            assert time.monotonic() < deadline, (place / "log").read_text()
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/ping", timeout=5, trust_env=False).status_code == 200:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def joined(model: dict[str, Any], place: Path) -> dict[str, str]:
    """The variables as one, for paths may lie across the border of two."""
    (place / "work").mkdir(parents=True)
    given = model["spec"]["primaryContainer"]["environment"]
    assert all(len(each) <= 1024 for each in given.values())
    return {"PLIMSOLL_SERVICE_00": "".join(given[name] for name in sorted(given))}


@pytest.mark.series
def test_the_container_of_a_model_pulls_and_verifies_it_and_answers_as_sagemaker_asks(
    ack: Bench, tmp_path: Path
) -> None:
    session = ack.session(target(ack))
    content = doubling_model()

    def trains(pod: Pod) -> None:
        (pod.output / "model.onnx").write_bytes(content)
        pod.leave(metrics_json=json.dumps({"accuracy": 0.9}))

    ack.does("train/triage", trains)
    training = ack.training("triage")
    done(session, training)
    model = register_step(ack, training)
    done(session, model)
    brought_up(ack, serve_step(ack, model))
    (name,) = ack.objects("Model", SAGEMAKER)
    found = standing(ack, "Model", name)
    assert found is not None
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.0]}]}
    with container(found, tmp_path / "machine") as address:
        answer = httpx.post(f"{address}/invocations", json=body, timeout=30, trust_env=False)
        assert answer.json()["outputs"][0]["data"] == [3.0, 4.0]
        assert httpx.post(f"{address}/invocations", content=b"x", timeout=30, trust_env=False).status_code == 400
        assert httpx.get(f"{address}/invocations", timeout=30, trust_env=False).status_code == 405
    # What is not signed by a key that the order names is not served.
    order = json.loads(joined(found, tmp_path / "other")["PLIMSOLL_SERVICE_00"])
    order["keys"] = {}
    given = {"PLIMSOLL_SERVICE_00": json.dumps(order).replace(WORK, str(tmp_path / "other/work"))}
    ended = subprocess.run(
        [sys.executable, "-m", "plimsoll.runtime.sagemaker", "serve"],
        env={**on_a_node(), **given, "PLIMSOLL_SAGEMAKER": str(tmp_path / "other")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "cannot be served" in (tmp_path / "other/output/failure").read_text()
