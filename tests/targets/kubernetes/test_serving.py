"""Services: brought up in order, proven with a request, replaced by new versions, and refused with the servers' words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plimsoll.kinds.serve import ServeResult
from plimsoll.kubernetes.memory import Admission
from plimsoll.kubernetes.memory.controllers import ContainerWaiting, Ended, Running
from plimsoll.planning.steps import AnyStep, InputFile, WorkerResources
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.session import KubernetesSession
from plimsoll.targets.kubernetes.work import rollout
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, Manifest, Pod, done, fail
from tests.targets.kubernetes.serving import Server, inference, registered, registration, serve_step

pytestmark = pytest.mark.slow

API = names.service(APPLICATION, "api")
ROOM = "no node of 1 has enough free: cpu on 1; ask for less in `resources`, or add nodes"


@pytest.fixture
def server(bench: Bench) -> Iterator[Server]:
    with inference(bench) as found:
        yield found


@pytest.fixture
def session(bench: Bench, server: Server) -> KubernetesSession:
    return bench.session()


def deployment(bench: Bench) -> Manifest:
    found = bench.find("Deployment", API, "apps/v1")
    assert found is not None
    return found


def serving_pods(bench: Bench) -> list[Manifest]:
    return bench.cluster.list("v1", "Pod", APPLICATION, f"{names.SERVICE}=api")


def large(bench: Bench, model: AnyStep) -> AnyStep:
    """A service whose servers no node has room for."""
    return bench.step("api", serve_step(bench, model).work, resources=WorkerResources(cpu=64))


def test_a_service_is_up_proven_and_found_by_its_address(bench: Bench, session: KubernetesSession) -> None:
    model = registered(bench, session)
    step = serve_step(bench, model)
    assert session.result(step) is None
    done(session, step)

    result = session.result(step)
    assert isinstance(result, ServeResult)
    assert (result.model, result.digest) == ("triage@1", registration(session, model).digest)
    assert result.url == f"http://{API}.{APPLICATION}.svc"
    assert bench.target().services() == {"api": result.url}


def test_servers_bring_the_signed_model_by_an_init_container(bench: Bench, session: KubernetesSession) -> None:
    model = registered(bench, session)
    done(session, serve_step(bench, model))
    (pod,) = serving_pods(bench)
    (puller,) = pod["spec"]["initContainers"]
    assert puller["command"][3] == registration(session, model).reference
    assert {"name": "trust", "configMap": {"name": f"{APPLICATION}-trust"}} in pod["spec"]["volumes"]


def test_nothing_leads_to_servers_before_they_are_ready(bench: Bench, session: KubernetesSession) -> None:
    carried = Carried(session.start(large(bench, registered(bench, session)), 1))
    assert bench.cluster.wait_for(carried.reasons)
    (pod,) = serving_pods(bench)
    assert carried.reasons() == [f"the pod {pod['metadata']['name']} waits: {ROOM}"]
    assert bench.find("Service", API) is None
    assert dict(bench.target().services()) == {}
    bench.cluster.add_node("large", cpu="96")

    assert carried.end().outcome == "done"
    assert bench.find("Service", API) is not None


def test_a_service_that_is_no_longer_whole_has_no_result(bench: Bench, session: KubernetesSession) -> None:
    step = serve_step(bench, registered(bench, session))
    done(session, step)
    bench.cluster.delete(deployment(bench))
    assert bench.cluster.wait_for(lambda: bench.find("Deployment", API, "apps/v1") is None)
    assert session.result(step) is None


def test_a_step_that_another_one_has_replaced_has_no_result(bench: Bench, session: KubernetesSession) -> None:
    model = registered(bench, session)
    first, second = serve_step(bench, model), serve_step(bench, model, latency=0.2)
    for step in (first, second):
        done(session, step)
    assert session.result(first) is None
    assert session.result(second) is not None


def test_a_new_version_takes_over_and_what_the_old_one_had_is_removed(bench: Bench, session: KubernetesSession) -> None:
    done(session, serve_step(bench, registered(bench, session)))
    before = set(bench.objects("ConfigMap"))
    old = {pod["metadata"]["name"] for pod in serving_pods(bench)}
    carried = Carried(session.start(serve_step(bench, registered(bench, session, "better weights")), 1))

    assert carried.end().outcome == "done"
    assert "1 objects of before are removed" in carried.reasons()
    (told_before,) = before - set(bench.objects("ConfigMap"))
    assert told_before.startswith(f"{API}-")
    assert bench.cluster.wait_for(lambda: len(serving_pods(bench)) == 1)
    assert old.isdisjoint(pod["metadata"]["name"] for pod in serving_pods(bench))


def test_what_is_obsolete_is_removed_once_the_new_servers_are_ready(bench: Bench, session: KubernetesSession) -> None:
    done(session, serve_step(bench, registered(bench, session)))
    available: list[bool] = []

    def watch(asked: Admission) -> str | None:
        if asked.verb == "delete" and asked.kind.kind == "ConfigMap":
            available.append(rollout.is_rolled_out(deployment(bench)))
        return None

    bench.cluster.validate(watch)
    step = serve_step(bench, registered(bench, session, "better weights"))
    done(session, step)
    assert available == [True]


def test_applying_a_service_again_leaves_its_pods_alone(bench: Bench, session: KubernetesSession) -> None:
    model = registered(bench, session)
    done(session, serve_step(bench, model))
    before = [pod["metadata"]["uid"] for pod in serving_pods(bench)]
    again = serve_step(bench, model)
    done(session, again)

    assert [pod["metadata"]["uid"] for pod in serving_pods(bench)] == before
    assert session.result(again) is not None


def test_a_server_that_refuses_its_model_ends_the_attempt_with_its_words(
    bench: Bench, session: KubernetesSession
) -> None:
    """The init container that brings the model fails again and again, so that the pod never runs."""
    carried = Carried(session.start(large(bench, registered(bench, session)), 1))
    assert bench.cluster.wait_for(carried.reasons)
    (pod,) = serving_pods(bench)
    said = {"exitCode": 1, "message": "pulling\nerror: triage@1 is signed by nobody who is trusted here"}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    puller = {"name": "model-0", "restartCount": 3, "state": waiting, "lastState": {"terminated": said}}
    bench.cluster.put({**pod, "status": {**pod["status"], "initContainerStatuses": [puller]}})
    end = carried.end()

    assert (end.outcome, end.reason) == ("failed", "model-0: error: triage@1 is signed by nobody who is trusted here")
    assert bench.find("Service", API) is None


def test_servers_that_fail_once_are_given_time(bench: Bench, session: KubernetesSession) -> None:
    def second_time(running: Running) -> Ended | None:
        if running.restarts == 0:
            return Ended(code=1, message="the registry does not answer")
        running.stopped.wait()
        return None

    bench.serves = second_time
    done(session, serve_step(bench, registered(bench, session)))


def test_an_image_of_servers_that_cannot_be_made_is_not_waited_for(bench: Bench, session: KubernetesSession) -> None:
    bench.serves = lambda _: ContainerWaiting(reason="CreateContainerConfigError", message='secret "x" not found')
    end = Carried(session.start(serve_step(bench, registered(bench, session)), 1)).end()
    assert end.reason == 'the container cannot be configured: secret "x" not found; make the secret x'


def test_servers_that_are_not_ready_in_time_end_the_attempt_with_what_they_wait_for(
    bench: Bench, session: KubernetesSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "READY_LIMIT", 0.3)
    end = Carried(session.start(large(bench, registered(bench, session)), 1)).end()
    assert end.outcome == "failed"
    assert end.reason.startswith("the service was not ready within 0.3 s: the pod ")
    assert end.reason.endswith(ROOM)


def test_an_attempt_that_is_stopped_while_servers_start_leads_nobody_to_them(
    bench: Bench, session: KubernetesSession
) -> None:
    carried = Carried(session.start(large(bench, registered(bench, session)), 1))
    assert bench.cluster.wait_for(carried.reasons)
    carried.attempt.stop()
    assert carried.end().outcome == "stopped"
    assert bench.find("Service", API) is None


def test_a_service_whose_answers_are_not_those_of_its_model_is_not_proven(
    bench: Bench, session: KubernetesSession, server: Server
) -> None:
    server.output = "z"
    step = serve_step(bench, registered(bench, session))
    end = Carried(session.start(step, 1)).end()
    assert end.outcome == "failed"
    assert "the server returned the outputs ['z']" in end.reason
    assert session.result(step) is None


def test_a_model_that_missed_its_acceptance_is_not_served(bench: Bench, session: KubernetesSession) -> None:
    step = serve_step(bench, registered(bench, session, accept="> 0.95"))
    end = Carried(session.start(step, 1)).end()
    assert end.outcome == "failed"
    assert "accuracy is 0.9, expected > 0.95" in end.reason
    assert bench.objects("Deployment", "apps/v1") == []


class TestDrift:
    """A service whose drift is judged against a table."""

    @pytest.fixture
    def table(self, bench: Bench, session: KubernetesSession) -> InputFile:
        step = bench.command("table", "rows.csv")
        done(session, step)
        return InputFile(name="table", step=step.name, key=step.key, file="rows.csv")

    def test_its_reference_is_made_by_a_pod_and_brought_to_the_servers(
        self, bench: Bench, session: KubernetesSession, table: InputFile
    ) -> None:
        made: list[Pod] = []

        def build(pod: Pod) -> None:
            made.append(pod)
            pod.leave(reference_json="{}")

        bench.does("serve/api", build)
        step = serve_step(bench, registered(bench, session), reference=table)
        done(session, step)

        (pod,) = made
        assert (pod.task.action, [each.name for each in pod.task.inputs]) == ("reference", ["table"])
        inits = {each["name"]: each for each in serving_pods(bench)[0]["spec"]["initContainers"]}
        assert list(inits) == ["model-0", "reference-1"]
        assert inits["reference-1"]["command"][3].startswith(f"{bench.registry}/{APPLICATION}/results@sha256:")
        assert not [each for each in bench.objects("Job", "batch/v1") if "serve" in each]

    def test_the_reference_of_a_model_and_a_table_is_made_once_for_all_services(
        self, bench: Bench, session: KubernetesSession, table: InputFile
    ) -> None:
        for service in ("api", "other"):
            bench.does(f"serve/{service}", lambda pod: pod.leave(reference_json="{}"))
        model = registered(bench, session)
        for service in ("api", "other"):
            step = serve_step(bench, model, service, reference=table)
            done(session, step)
        assert [pod.task.step for pod in bench.begun if pod.task.action == "reference"] == ["serve/api"]

    def test_one_that_cannot_be_made_keeps_the_service_from_starting(
        self, bench: Bench, session: KubernetesSession, table: InputFile
    ) -> None:
        bench.does("serve/api", fail("no column x"))
        step = serve_step(bench, registered(bench, session), reference=table)
        end = Carried(session.start(step, 1)).end()
        assert end.reason == "the drift reference of triage@1: ended with status 3: no column x"
        assert bench.objects("Deployment", "apps/v1") == []


def test_applications_whose_names_meet_have_objects_of_their_own(bench: Bench) -> None:
    """`shop-eu` with service `api`, and `shop` with service `eu-api`, in one namespace."""
    first = bench.target("shop-eu", directory=bench.directory / "one", namespace=APPLICATION)
    second = bench.target(namespace=APPLICATION)
    up, steps = [], []
    with inference(bench):
        for target, service in ((first, "api"), (second, "eu-api")):
            session = bench.session(target)
            step = serve_step(bench, registered(bench, session), service)
            done(session, step)
            up.append(session)
            steps.append(step)
    marked = names.service_apart(APPLICATION, "eu-api")
    assert bench.objects("Service") == sorted(["shop-eu-api", marked])
    assert dict(first.services()) == {"api": f"http://shop-eu-api.{APPLICATION}.svc"}
    assert dict(second.services()) == {"eu-api": f"http://{marked}.{APPLICATION}.svc"}
    first.remove()
    assert bench.objects("Service") == [marked]
    assert up[1].result(steps[1]) is not None
    assert dict(second.services()) == {"eu-api": f"http://{marked}.{APPLICATION}.svc"}


def test_what_somebody_has_deleted_of_a_service_is_made_again_by_the_next_run(
    bench: Bench, session: KubernetesSession
) -> None:
    step = serve_step(bench, registered(bench, session))
    done(session, step)
    for api_version, kind, name in (
        ("v1", "ServiceAccount", APPLICATION),
        ("networking.k8s.io/v1", "NetworkPolicy", API),
        ("policy/v1", "PodDisruptionBudget", API),
        ("v1", "Service", API),
        ("v1", "ConfigMap", f"{API}-served"),
    ):
        bench.cluster.delete(
            {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": APPLICATION}}
        )
        assert session.result(step) is None
        carried = done(session, step)
        assert session.result(step) is not None
        assert bench.find(kind, name, api_version) is not None
        if kind != "ConfigMap":
            assert carried.reasons()[0] == f"{kind} {name} is gone: made as the application says again"


def test_what_somebody_has_changed_of_a_service_is_set_again_and_told_with_who_it_was(
    bench: Bench, session: KubernetesSession
) -> None:
    step = serve_step(bench, registered(bench, session))
    done(session, step)
    api = bench.target().api
    change = {"spec": {"selector": {"app": "elsewhere"}}}
    place = api.path("v1", "Service", APPLICATION, API)
    asked = {"fieldManager": "kubectl-edit"}
    api.request("PATCH", place, body=change, parameters=asked, content_type="application/merge-patch+json")
    assert session.result(step) is None
    reasons = done(session, step).reasons()
    assert reasons[0] == f"Service {API} is not as it should be in .spec.selector: made as the application says again"
    assert "others had set fields of it: .spec.selector" in reasons[1]
    assert reasons[1].endswith("by kubectl-edit")
    assert session.result(step) is not None


def test_every_pod_pulls_images_with_the_secrets_of_the_namespace_s_own_account(bench: Bench) -> None:
    bench.target().api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": APPLICATION}})
    account = bench.find("ServiceAccount", "default")
    assert account is not None
    bench.cluster.put({**account, "imagePullSecrets": [{"name": "pull"}, {"name": "mirror"}]})
    session = bench.session()
    with inference(bench):
        done(session, serve_step(bench, registered(bench, session)))
    pods = bench.cluster.list("v1", "Pod", APPLICATION)
    assert {each["spec"].get("serviceAccountName", "default") for each in pods} == {"default", APPLICATION}
    for each in pods:
        assert [secret["name"] for secret in each["spec"]["imagePullSecrets"]] == ["pull", "mirror"]
