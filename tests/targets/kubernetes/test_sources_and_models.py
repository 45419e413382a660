"""Sources, environments and models: what is done on this machine, and found by pods and by other machines."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import pytest

from plimsoll.application.digests import Digests
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.images.dependencies import PythonTarget
from plimsoll.images.layers import Layer, LayerEntry, LayerStore
from plimsoll.kinds.adapters import Base
from plimsoll.kinds.batch import Score, ScoreResult
from plimsoll.kinds.brought import Bring, BringResult
from plimsoll.kinds.dataset import CommandResult, Fetch, FetchResult, RunCommand
from plimsoll.kinds.environment import EnvironmentResult, MakeEnvironment
from plimsoll.kinds.register import Register, RegisterResult
from plimsoll.kinds.train import TrainGang, TrainResult
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.planning.steps import AnyStep, Ingredient, InputFile, Plan, Work, WorkerResources
from plimsoll.registry.layout import TITLE_ANNOTATION
from plimsoll.registry.problems import RegistryError
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.registry.transfer import pull_files
from plimsoll.signing.keys import KeyRing
from plimsoll.targets.kubernetes import images
from plimsoll.targets.kubernetes.preview import preview
from tests.runtime.model_files import onnx
from tests.runtime.packages.stand_in import stand_in, tarred
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, Pod
from tests.targets.kubernetes.serving import register_step, registered, registration, trained

pytestmark = pytest.mark.slow


def fetch_step(bench: Bench, source: str, sha256: str | None = None) -> AnyStep:
    path = bench.directory / source
    digest = Digests(path.with_name("digests")).of(path) if path.exists() else ""
    made_of = (Ingredient(kind="input", name="orders", digest=digest),)
    return bench.step("orders", Fetch(source=source, sha256=sha256), ingredients=made_of)


def read_by_pods(bench: Bench, step: AnyStep, file: str | None = None) -> list[bytes]:
    """Run a step whose pod reads the result of another one; gives what it has read."""
    read: list[bytes] = []

    def reading(pod: Pod) -> None:
        read.append(pod.input(pod.task.inputs[0]))
        pod.leave()

    bench.does("run/reading", reading)
    given = InputFile(name="orders", step=step.name, key=step.key, file=file)
    end = Carried(bench.session().start(bench.command("reading", inputs=(given,)), 1)).end()
    assert end.outcome == "done", end.reason
    return read


def test_a_file_of_this_machine_is_where_pods_find_it(bench: Bench) -> None:
    (bench.directory / "orders.csv").write_text("a\n1\n")
    session, step = bench.session(), fetch_step(bench, "orders.csv")
    assert Carried(session.start(step, 1)).end().outcome == "done"

    result = session.result(step)
    assert isinstance(result, FetchResult)
    assert result.source == "orders.csv"
    assert bench.begun == []
    assert read_by_pods(bench, step) == [b"a\n1\n"]


def test_of_a_folder_of_this_machine_pods_find_each_file(bench: Bench) -> None:
    (bench.directory / "orders" / "2026").mkdir(parents=True)
    (bench.directory / "orders" / "2026" / "may.csv").write_text("a\n5\n")
    session, step = bench.session(), fetch_step(bench, "orders")
    assert Carried(session.start(step, 1)).end().outcome == "done"
    assert read_by_pods(bench, step, "2026/may.csv") == [b"a\n5\n"]


def test_a_file_of_a_package_is_fetched_here_and_pods_find_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_in() as registry:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"{registry.url}/npm/")
        # The client of registries reads the authorities when it is made, whether or not it needs them.
        monkeypatch.delenv("SSL_CERT_FILE")
        registry.node("streets", "1.0", tarred({"package/orders.csv": b"a\n1\n"}))
        session, step = bench.session(), fetch_step(bench, "npm:streets@1.0#*.csv")
        end = Carried(session.start(step, 1)).end()
    assert end.outcome == "done", end.reason
    assert bench.begun == []
    assert read_by_pods(bench, step) == [b"a\n1\n"]


def test_a_source_that_is_not_what_the_file_says_is_not_pushed(bench: Bench) -> None:
    (bench.directory / "orders.csv").write_text("a\n1\n")
    session, step = bench.session(), fetch_step(bench, "orders.csv", sha256="0" * 64)
    end = Carried(session.start(step, 1)).end()

    assert (end.outcome, end.lasting) == ("failed", True)
    assert "the file requires 000" in end.reason
    assert session.result(step) is None


def test_a_source_that_is_gone_is_named(bench: Bench) -> None:
    session, step = bench.session(), fetch_step(bench, "orders.csv")
    end = Carried(session.start(step, 1)).end()
    assert end.outcome == "failed"
    assert "the source does not exist" in end.reason


def test_an_address_is_fetched_by_a_pod_with_the_credentials_of_its_namespace(bench: Bench) -> None:
    bench.does("fetch/orders", lambda pod: pod.leave(orders_csv="a\n1\n"))
    source = "https://data.example/orders.csv"
    session, step = bench.session(), fetch_step(bench, source, sha256="1" * 64)
    assert Carried(session.start(step, 1)).end().outcome == "done"

    (pod,) = bench.begun
    assert (pod.task.action, pod.task.source, pod.task.sha256) == ("fetch", source, "1" * 64)
    (container,) = pod.running.pod["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "plimsoll-data", "optional": True}}]
    result = session.result(step)
    assert isinstance(result, FetchResult)
    assert [file.name for file in result.outputs] == ["orders.csv"]
    assert read_by_pods(bench, step) == [b"a\n1\n"]


def test_an_environment_is_a_layer_of_the_images_of_its_steps(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def dependencies(
        store: LayerStore, requirements: Path, digest: str, python: PythonTarget, directory: Path
    ) -> Layer:
        made.append(f"{requirements.name} {digest}")
        return store.add("dependencies", [LayerEntry(path="opt/dependencies", content=b"packages")])

    monkeypatch.setattr(images, "dependencies_layer", dependencies)
    of = Ingredient(kind="environment", name="requirements.txt", digest="d1")
    session = bench.session()
    step = bench.step("python", MakeEnvironment(requirements="requirements.txt"), ingredients=(of,))
    assert Carried(session.start(step, 1)).end().outcome == "done"
    result = session.result(step)
    assert isinstance(result, EnvironmentResult)
    assert result.layer

    work = RunCommand(command="python clean.py", environment=step.key)
    with_packages = bench.step("clean", work, ingredients=(of,))
    without = bench.command("other")
    for each in (with_packages, without):
        assert Carried(session.start(each, 1)).end().outcome == "done"
    assert set(made) == {"requirements.txt d1"}
    assert layers_of(bench.begun[0]) - layers_of(bench.begun[1])


def layers_of(pod: Pod) -> set[str]:
    """Digests of the layers of a pod's image, as a node would pull it."""
    reference = parse_reference(pod.running.pod["spec"]["containers"][0]["image"])
    with Repository(reference) as repository:
        return {each.digest for each in repository.manifest(reference.target).decoded().layers}


def test_steps_of_the_same_code_have_the_same_image(bench: Bench) -> None:
    session = bench.session()
    for part in ("one", "two"):
        assert Carried(session.start(bench.command(part), 1)).end().outcome == "done"
    first, second = (pod.running.pod["spec"]["containers"][0]["image"] for pod in bench.begun)
    assert first == second
    assert first.startswith(f"{bench.registry}/{APPLICATION}/steps@sha256:")


def test_two_machines_share_results_by_one_registry(bench: Bench, tmp_path: Path) -> None:
    here = bench.session()
    step = trained(bench, here)
    there = bench.session(bench.target(directory=tmp_path / "there"))
    assert there.result(step) == here.result(step) != None  # noqa: E711  # neither of them is nothing

    assert there.context.state.result(step.key, TrainResult) is None
    there.fetch(step)
    assert there.context.state.result(step.key, TrainResult) == here.result(step)
    assert (there.context.state.output(step.key) / "model.onnx").read_text() == "weights"


def test_two_applications_share_no_results(bench: Bench) -> None:
    step = bench.command("clean")
    assert Carried(bench.session().start(step, 1)).end().outcome == "done"
    assert bench.session(bench.target("other")).result(step) is None


def test_what_a_command_left_stays_in_the_registry(bench: Bench) -> None:
    session, step = bench.session(), bench.command("clean", "rows.csv")
    assert Carried(session.start(step, 1)).end().outcome == "done"
    session.fetch(step)
    assert session.context.state.result(step.key, CommandResult) is None


def test_a_result_of_another_shape_is_none(bench: Bench) -> None:
    session, step = bench.session(), bench.command("clean")
    assert Carried(session.start(step, 1)).end().outcome == "done"
    assert session.context.results.result(step.key, RegisterResult) is None
    assert session.context.results.result("none", CommandResult) is None


def test_a_registered_model_is_signed_and_lies_where_pods_pull_it(bench: Bench, tmp_path: Path) -> None:
    session = bench.session()
    result = registration(session, registered(bench, session))

    assert (result.version, result.accepted) == (1, True)
    assert result.reference == f"{bench.registry}/{APPLICATION}/models/triage@{result.digest}"
    reference = parse_reference(result.reference)
    with Repository(reference) as repository:
        pulled = pull_files(repository, reference.target, KeyRing.default(), tmp_path / "pulled")
        assert (pulled.directory / "model.onnx").read_text() == "weights"
        with pytest.raises(ModelRefused):
            pull_files(repository, reference.target, KeyRing(tmp_path / "strangers"), tmp_path / "refused")


def test_a_model_that_could_not_be_pushed_is_not_registered(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run pushes it: pods would look for it in vain."""
    session = bench.session()
    step = register_step(bench, trained(bench, session))

    def refuse(*_: object) -> None:
        raise RegistryError("the registry is full", status=507)

    with monkeypatch.context() as patch:
        patch.setattr(import_module("plimsoll.targets.kubernetes.work.register"), "push_model", refuse)
        end = Carried(session.start(step, 1)).end()
    assert (end.outcome, session.result(step)) == ("failed", None)
    assert "the registry is full" in end.reason

    assert Carried(session.start(step, 2)).end().outcome == "done"
    assert (registration(session, step).version, bool(registration(session, step).reference)) == (1, True)


def test_the_key_that_models_are_signed_with_is_trusted_in_the_namespace(bench: Bench) -> None:
    bench.session()
    found = bench.find("ConfigMap", f"{APPLICATION}-trust")
    assert found is not None
    assert found["data"] == {path.name: path.read_text() for path in KeyRing.default().trusted.glob("*.json")}
    assert "PRIVATE" not in str(found["data"])


def test_a_model_that_another_machine_has_trained_is_registered_here(bench: Bench, tmp_path: Path) -> None:
    training = trained(bench, bench.session(), "weights of another machine")
    session = bench.session(bench.target(directory=tmp_path / "here"))
    step = register_step(bench, training)
    assert Carried(session.start(step, 1)).end().outcome == "done"
    assert registration(session, step).reference


def test_a_training_whose_result_is_gone_has_to_be_run_again(bench: Bench) -> None:
    step = register_step(bench, bench.training("triage"))
    end = Carried(bench.session().start(step, 1)).end()
    assert end.outcome == "failed"
    assert "run again to repeat the training" in end.reason


def score_step(bench: Bench, model: AnyStep, table: AnyStep) -> AnyStep:
    given = InputFile(name="orders", step=table.name, key=table.key, file="rows.csv")
    return bench.step("nightly", Score(batch="nightly", model="triage", register_key=model.key, input=given))


def test_a_batch_scores_with_the_model_that_an_init_container_brings(bench: Bench) -> None:
    scored = '{"rows": 2, "seconds": 0.5}'
    bench.does("score/nightly", lambda pod: pod.leave(scores_csv="1\n2\n", metrics_json=scored))
    session = bench.session()
    table, model = bench.command("table", "rows.csv"), registered(bench, session)
    assert Carried(session.start(table, 1)).end().outcome == "done"
    step = score_step(bench, model, table)
    assert Carried(session.start(step, 1)).end().outcome == "done"

    result = session.result(step)
    assert isinstance(result, ScoreResult)
    assert (result.rows, result.seconds) == (2, 0.5)
    assert (session.context.state.output(step.key) / "scores.csv").read_text() == "1\n2\n"
    pod = bench.begun[-1]
    reference = registration(session, model).reference
    assert pod.task.model == reference
    (puller,) = pod.running.pod["spec"]["initContainers"]
    assert puller["command"][2:4] == ["plimsoll.runtime.pull", reference]


def test_a_batch_does_not_score_with_a_model_that_missed_its_acceptance(bench: Bench) -> None:
    session = bench.session()
    model = registered(bench, session, accept="> 0.95")
    assert registration(session, model).accepted is False
    end = Carried(session.start(score_step(bench, model, bench.command("table")), 1)).end()

    assert end.outcome == "failed"
    assert "accuracy is 0.9, expected > 0.95" in end.reason
    assert [pod.task.step for pod in bench.begun] == ["train/triage"]


def test_a_registration_that_this_machine_lost_is_made_again(bench: Bench, tmp_path: Path) -> None:
    session = bench.session()
    step = registered(bench, session)
    assert isinstance(step.work, Register)
    there = bench.session(bench.target(directory=tmp_path / "there"))
    assert there.result(step) is None
    assert Carried(there.start(step, 1)).end().outcome == "done"
    assert registration(there, step).version == 1


class Dance(Work, frozen=True, kw_only=True):
    """Work that no target knows."""

    verb: ClassVar[str] = "dance"


def test_work_that_clusters_do_not_carry_out_is_refused(bench: Bench) -> None:
    with pytest.raises(TargetError, match="clusters do not carry out 'dance' steps") as refused:
        bench.session().start(bench.step("x", Dance()), 1)
    assert refused.value.lasting


def test_a_model_that_is_brought_is_fetched_here_and_pulled_by_pods(bench: Bench) -> None:
    (bench.directory / "weights.bin").write_bytes(onnx())
    session = bench.session()
    content = (Ingredient(kind="input", name="source", digest=hashlib.sha256(onnx()).hexdigest()),)
    bring = bench.step("scorer", Bring(source="weights.bin", licence="MIT"), ingredients=content)
    assert Carried(session.start(bring, 1)).end().outcome == "done"
    brought = session.result(bring)
    assert isinstance(brought, BringResult)
    work = Register(model="scorer", train=bring.name, train_key=bring.key, source="weights.bin", licences=("MIT",))
    step = bench.step("scorer", work)
    assert Carried(session.start(step, 1)).end().outcome == "done"

    made = registration(session, step)
    assert bench.begun == []
    assert made.accepted
    assert made.reference
    with Repository(parse_reference(made.reference)) as repository:
        titles = [layer.annotations[TITLE_ANNOTATION] for layer in repository.manifest().decoded().layers]
    assert titles == ["model.onnx"]


def test_the_model_that_an_adapter_is_of_is_pulled_and_verified_in_each_pod_of_its_training(bench: Bench) -> None:
    session = bench.session()
    model = registered(bench, session)
    bench.does("train/style", lambda pod: pod.leave(adapter_gguf="factors"))
    base = Base(reference="triage", register_key=model.key)
    work = TrainGang(command="python lora.py", framework="none", size=2, base=base)
    step = bench.step("style", work, resources=WorkerResources(cpu=0.1))
    assert Carried(session.start(step, 1)).end().outcome == "done"
    pods = [pod for pod in bench.begun if pod.task.step == "train/style"]
    assert len(pods) == 2
    for pod in pods:
        (puller,) = pod.running.pod["spec"]["initContainers"]
        assert puller["command"][2:4] == ["plimsoll.runtime.pull", registration(session, model).reference]
        assert pod.task.variables == {"PLIMSOLL_BASE": puller["command"][-1]}
    plan = Plan(application=APPLICATION, target="lab", steps=(step,))
    (planned,) = preview(plan, Cluster(target="lab", namespace=APPLICATION), {"gang": "job"})
    assert "plimsoll.runtime.pull" in repr(planned.objects)


def test_no_adapter_is_trained_on_a_model_that_missed_its_acceptance(bench: Bench) -> None:
    session = bench.session()
    model = registered(bench, session, accept="> 0.95")
    work = TrainGang(command="python lora.py", framework="none", base=Base(reference="triage", register_key=model.key))
    end = Carried(session.start(bench.step("style", work), 1)).end()
    assert end.outcome == "failed"
    assert "accuracy is 0.9, expected > 0.95" in end.reason
    assert [pod.task.step for pod in bench.begun] == ["train/triage"]
