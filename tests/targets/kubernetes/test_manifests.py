"""Steps as Kubernetes objects."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.kinds.dataset import RunCommand
from plimsoll.kinds.service_settings import Scale, Telemetry
from plimsoll.kinds.train import Framework, Topology, TrainGang
from plimsoll.kubernetes.cluster import Cluster, Node
from plimsoll.planning.steps import Step, WorkerResources
from plimsoll.runtime.pod_task import TASK_VARIABLE, PodTask, decode_task
from plimsoll.runtime.server.administration import Administration
from plimsoll.runtime.server.refusals import Forbidden
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.runtime.server.traffic import Share as TrafficShare
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests import gang
from plimsoll.targets.kubernetes.manifests.claims import claim_template
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions, Watched, grouped
from plimsoll.targets.kubernetes.manifests.pod import task_pod
from plimsoll.targets.kubernetes.manifests.serving import objects
from plimsoll.targets.kubernetes.manifests.traffic import NO_REQUEST, unmatched

KEY = "0123456789abcdef" * 4
CHOSEN = {"serving": "deployment", "traffic": "gateway", "metrics": "operator", "scale": "hpa"}
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def training(workers: int = 2, framework: Framework = "torch", **work: Any) -> Step[TrainGang]:
    made = TrainGang(command="python train.py", framework=framework, size=workers, **work)
    return Step(part="triage", key=KEY, work=made, resources=WorkerResources(cpu=0.5, memory=2**30), retries=3)


def cluster(**more: Any) -> Cluster:
    return Cluster(target="lab", namespace="app", **more)


def pod_of(step: Step[TrainGang], where: Cluster) -> dict[str, Any]:
    task = PodTask(action="train", step=step.name, key=step.key, result="r.example/app/results:x")
    return task_pod(task, step, "r.example/app/steps@sha256:0", where, names.of_step("app", step))


@pytest.mark.parametrize("provider", [each for each in gang.MAKERS if each != "rayjob"])
def test_every_provider_starts_all_workers_and_restarts_none_alone(provider: str) -> None:
    step, where = training(3), cluster(admitting=("all",))
    labels = names.of_step("app", step)
    made = gang.workload(provider, "app-train-triage-01234567", step, pod_of(step, where), labels, where)
    text = repr(made.objects)
    assert "'backoffLimit': 0" in text
    assert all(each["metadata"]["labels"][names.APPLICATION] == "app" for each in made.objects)
    assert made.watched[2] in {each["metadata"]["name"] for each in made.objects}
    hosts = gang.host_names(provider, "app-train-triage-01234567", 3)
    assert len(set(hosts)) == 3


def test_a_single_worker_is_a_job_whatever_the_provider() -> None:
    step, where = training(1), cluster()
    made = gang.workload("kueue", "x", step, pod_of(step, where), names.of_step("app", step), where)
    assert [each["kind"] for each in made.objects] == ["Job"]


def test_ray_by_kuberay_has_a_head_that_runs_the_command_and_workers_behind_it() -> None:
    step, where = training(3, "ray"), cluster(admitting=("all",))
    labels = names.of_step("app", step)
    made = gang.workload("rayjob", "app-train-triage-01234567", step, pod_of(step, where), labels, where)
    queue, job = made.objects
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == queue["metadata"]["name"]
    assert "suspend" not in job["spec"], "it would wait for ever where Kueue does not manage RayJobs"
    nodes = job["spec"]["rayClusterSpec"]
    (workers,) = nodes["workerGroupSpecs"]
    assert [workers[each] for each in ("replicas", "minReplicas", "maxReplicas")] == [2, 2, 2]
    for template in (nodes["headGroupSpec"]["template"], workers["template"]):
        assert template["metadata"]["labels"][names.KEY] == labels[names.KEY]
        assert template["metadata"]["annotations"]["ray.io/overwrite-container-cmd"] == "true"
        assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    assert job["spec"]["backoffLimit"] == step.retries
    assert made.watched == ("ray.io/v1", "RayJob", "app-train-triage-01234567")


def test_only_ray_is_carried_by_kuberay_and_only_where_that_is_chosen() -> None:
    preferred = {"gang": "kueue", "ray": "rayjob"}
    assert gang.provider_of(training(2, "ray"), preferred) == "rayjob"
    assert gang.provider_of(training(2, "torch"), preferred) == "kueue"
    assert gang.provider_of(training(2, "ray"), {"gang": "kueue", "ray": "pods"}) == "kueue"
    assert gang.provider_of(training(2, "ray"), {"gang": "kueue"}) == "kueue"


def test_a_gang_in_a_cluster_queue_brings_its_own_way_into_it() -> None:
    step, where = training(2), cluster(admitting=("all",))
    made = gang.workload("kueue", "x", step, pod_of(step, where), names.of_step("app", step), where)
    queue, job_set = made.objects
    assert queue["spec"] == {"clusterQueue": "all"}
    assert job_set["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == queue["metadata"]["name"]
    assert job_set["spec"]["suspend"] is True


def test_pods_keep_to_the_restricted_level() -> None:
    spec = pod_of(training(), cluster())["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    for container in spec["containers"]:
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_a_pod_task_comes_out_of_the_pod_as_it_went_in() -> None:
    container = pod_of(training(), cluster())["spec"]["containers"][0]
    value = next(each["value"] for each in container["env"] if each["name"] == TASK_VARIABLE)
    assert decode_task(value).step == "train/triage"


def test_accelerators_are_counted_where_a_plugin_counts_them_and_claimed_where_a_class_is_all_there_is() -> None:
    step = Step(part="x", key=KEY, work=training().work, resources=WorkerResources(accelerators=2))
    node = Node(name="n", cpu=1, memory=1, extended={"nvidia.com/gpu": 4})
    counted = pod_of(step, cluster(nodes=(node,), classes=("gpu.nvidia.com",)))["spec"]["containers"][0]["resources"]
    assert counted["limits"]["nvidia.com/gpu"] == "2"
    where = cluster(classes=("gpu.nvidia.com",))
    claimed = pod_of(step, where)["spec"]
    assert claimed["containers"][0]["resources"]["claims"] == [{"name": "accelerators"}]
    (template,) = claim_template("app", step.resources, where)
    assert template["metadata"]["name"] == claimed["resourceClaims"][0]["resourceClaimTemplateName"]
    assert template["spec"]["spec"]["devices"]["requests"][0]["exactly"]["count"] == 2


def test_inputs_are_mounted_where_every_node_can() -> None:
    new = Node(name="n", cpu=1, memory=1, kubelet="v1.37.2", runtime="containerd://2.4.2")
    old = Node(name="o", cpu=1, memory=1, kubelet="v1.34.1", runtime="containerd://1.7.9")
    assert cluster(nodes=(new,)).mounts_images
    assert not cluster(nodes=(new, old)).mounts_images
    assert not cluster().mounts_images


def test_packed_workers_want_one_rack_and_spread_ones_different_ones() -> None:
    node = Node(name="n", cpu=1, memory=1, labels={"plimsoll.dev/rack": "a"})
    packed = pod_of(training(topology=Topology(pack="rack")), cluster(nodes=(node,)))["spec"]
    term = packed["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
    assert term["topologyKey"] == "plimsoll.dev/rack"
    spread = pod_of(training(topology=Topology(spread="node")), cluster())["spec"]
    assert spread["topologySpreadConstraints"][0]["topologyKey"] == "kubernetes.io/hostname"
    assert "affinity" not in pod_of(training(topology=Topology(pack="rack")), cluster())["spec"]


def served(**more: Any) -> ServedVersions:
    file = ServiceFile(models=(ModelFile(name="triage", version="2", path="/plimsoll/work/models/2/model.onnx"),))
    return ServedVersions(
        application="app",
        service="triage",
        file=file,
        models={"/plimsoll/work/models/2": "r/m@sha256:0"},
        key=KEY,
        resources=WorkerResources(),
        image="r/runtime@sha256:1",
        **more,
    )


def made(**more: Any) -> dict[str, dict[str, Any]]:
    where = cluster(gateways=("lab",), custom_metrics=more.pop("custom_metrics", False))
    found = objects(served(**more), where, CHOSEN)
    return {each["kind"]: each for each in found if not each["metadata"]["name"].endswith("-dashboard")}


def test_a_service_is_replaced_without_a_gap_and_has_no_rights() -> None:
    found = made()
    assert found["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert found["ServiceAccount"]["automountServiceAccountToken"] is False
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert [each["name"] for each in pod["initContainers"]] == ["model-0"]
    assert "r/m@sha256:0" in pod["initContainers"][0]["command"]
    assert found["NetworkPolicy"]["spec"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8080}]}]
    assert found["HTTPRoute"]["spec"]["parentRefs"][0]["name"] == found["Gateway"]["metadata"]["name"]
    assert "ServiceMonitor" in found
    assert found["PrometheusRule"]["spec"]["groups"][0]["rules"]


def test_servers_watch_themselves_and_have_what_drift_is_judged_against() -> None:
    plain = made()["Deployment"]["spec"]["template"]["spec"]
    assert "plimsoll.telemetry.service:watch=" in plain["containers"][0]["command"][-1]
    assert "envFrom" not in plain["containers"][0]
    watched = {"2": Watched(reference="r/results@sha256:2", promised=0.8)}
    pod = made(watched=watched, telemetry=Telemetry(audit=True, traces=True))["Deployment"]["spec"]["template"]["spec"]
    server = pod["containers"][0]
    told = json.loads(server["command"][-1].partition("=")[2])
    assert told["audit_log"] == "-"
    assert "access_log" not in told
    (drift,) = told["drift"]
    assert (drift["version"], drift["promised"]) == ("2", 0.8)
    brought = pod["initContainers"][-1]["command"]
    assert "r/results@sha256:2" in brought
    assert Path(drift["reference"]).parent == Path(brought[-1])
    assert server["envFrom"][0]["secretRef"]["optional"]


def test_a_version_apart_is_watched_against_its_own_reference_alone() -> None:
    shares = (TrafficShare(version="1", weight=90), TrafficShare(version="2", weight=10))
    models = tuple(ModelFile(name="m", version=each.version, path=f"/w/{each.version}/m.onnx") for each in shares)
    both = served(watched={each.version: Watched(reference=f"r@sha256:{each.version}") for each in shares})
    one = msgspec.structs.replace(both, file=ServiceFile(models=models, traffic={"m": shares}))
    groups = grouped("app-m", one, {}, apart=True)
    assert [list(each.served.watched) for each in groups] == [["1"], ["2"]]


def test_a_change_of_what_servers_are_told_replaces_them() -> None:
    before, after = made(), made()
    assert before["ConfigMap"] == after["ConfigMap"]
    shares = ServiceFile(models=served().file.models, traffic={"triage": (TrafficShare(version="2", weight=10),)})
    other = objects(
        msgspec.structs.replace(served(), file=shares),
        cluster(),
        {"serving": "deployment", "traffic": "service", "metrics": "annotations"},
    )
    told = next(each for each in other if each["kind"] == "ConfigMap")
    assert told["metadata"]["name"] != before["ConfigMap"]["metadata"]["name"]


def test_the_token_of_a_secret_lets_in_and_without_the_secret_nobody(tmp_path: Path) -> None:
    pod = made()["Deployment"]["spec"]["template"]["spec"]
    command = pod["containers"][0]["command"]
    path = Path(command[command.index("--admin-token-file") + 1])
    (volume,) = [each for each in pod["volumes"] if "secret" in each]
    mount = next(each for each in pod["containers"][0]["volumeMounts"] if each["name"] == volume["name"])
    assert volume["secret"] == {"secretName": "plimsoll-admin", "optional": True}
    assert (mount["mountPath"], mount["readOnly"]) == (str(path.parent), True)

    # As the kubelet mounts a Secret, and changes it: by a link to a directory.
    mounted = Administration(tmp_path / path.name)
    (tmp_path / path.name).symlink_to(tmp_path / "..data" / path.name)
    for number, token in enumerate(("the first token of all", "the token that follows")):
        with pytest.raises(Forbidden):
            asyncio.run(mounted.check({"authorization": f"Bearer {token}"}))
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / path.name).write_text(token)
        (tmp_path / "..data").unlink(missing_ok=True)
        (tmp_path / "..data").symlink_to(tmp_path / f"..{number}")
        asyncio.run(mounted.check({"authorization": f"Bearer {token}"}))


def versions(*shares: TrafficShare) -> list[dict[str, Any]]:
    """The objects of a service of as many versions, behind Envoy Gateway."""
    models = tuple(
        ModelFile(name="triage", version=each.version, path=f"/w/models/{each.version}/m.onnx") for each in shares
    )
    places = {f"/w/models/{each.version}": f"r/m@sha256:{each.version}" for each in shares}
    one = msgspec.structs.replace(
        served(latency=0.2), file=ServiceFile(models=models, traffic={"triage": shares}), models=places
    )
    where = cluster(gateways=("lab",), served=frozenset({"gateway.envoyproxy.io/v1alpha1/BackendTrafficPolicy"}))
    return objects(one, where, CHOSEN)


def of_kind(found: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in found if each["kind"] == kind}


def test_versions_have_servers_of_their_own_among_which_the_route_shares() -> None:
    found = versions(
        TrafficShare(version="2", weight=10, headers={"cohort": "beta"}),
        TrafficShare(version="1", weight=90),
        TrafficShare(version="3", shadow=25),
    )
    deployments, services = of_kind(found, "Deployment"), of_kind(found, "Service")
    assert list(deployments) == ["app-triage-v1", "app-triage-v2", "app-triage-v3"]
    for name, deployment in deployments.items():
        (puller,) = deployment["spec"]["template"]["spec"]["initContainers"]
        assert f"r/m@sha256:{name[-1]}" in puller["command"]
        pods = deployment["spec"]["template"]["metadata"]["labels"]
        assert services[name]["spec"]["selector"].items() <= pods.items()
    assert services["app-triage"]["spec"]["selector"]["plimsoll.dev/version"] == "1"
    routes = of_kind(found, "HTTPRoute")
    (last,) = routes["app-triage"]["spec"]["rules"]
    assert {each["name"]: each["weight"] for each in last["backendRefs"]} == {
        "app-triage-v1": 90,
        "app-triage-v2": 10,
        "app-triage-v3": 0,
    }
    shadow = {"group": "", "kind": "Service", "name": "app-triage-v3", "port": 80}
    assert last["filters"][1]["requestMirror"] == {"backendRef": shadow, "percent": 25}
    (beta,) = routes["app-triage-v2-header"]["spec"]["rules"]
    assert beta["matches"][0]["headers"] == [{"type": "Exact", "name": "cohort", "value": "beta"}]
    assert [each["name"] for each in beta["backendRefs"]] == ["app-triage-v2"]
    monitor = of_kind(found, "ServiceMonitor")["app-triage"]["spec"]["selector"]
    assert monitor["matchExpressions"] == [{"key": "plimsoll.dev/version", "operator": "Exists"}]


def test_a_route_keeps_its_place_when_versions_come_and_go() -> None:
    one = of_kind(versions(TrafficShare(version="1", weight=100)), "HTTPRoute")["app-triage"]
    found = versions(TrafficShare(version="1", weight=50, headers={"a": "b"}), TrafficShare(version="2", weight=50))
    routes = of_kind(found, "HTTPRoute")
    assert len(one["spec"]["rules"]) == len(routes["app-triage"]["spec"]["rules"]) == 1
    (policy,) = of_kind(found, "BackendTrafficPolicy").values()
    assert {each["name"] for each in policy["spec"]["targetRefs"]} == set(routes)
    hidden = unmatched(routes["app-triage-v1-header"]["spec"]["rules"])
    assert [each["name"] for each in hidden[0]["matches"][0]["headers"]] == ["a", NO_REQUEST]


def test_no_version_is_found_by_the_labels_of_another_or_of_all_together() -> None:
    apart = versions(TrafficShare(version="1", weight=50), TrafficShare(version="2", weight=50))
    together = versions(TrafficShare(version="1", weight=100))
    deployments = [*of_kind(apart, "Deployment").values(), *of_kind(together, "Deployment").values()]
    pods = [each["spec"]["template"]["metadata"]["labels"].items() for each in deployments]
    for one in deployments:
        finds = one["spec"]["selector"]["matchLabels"].items()
        assert [finds <= each for each in pods].count(True) == 1


def test_a_change_of_weights_leaves_the_servers_as_they_are() -> None:
    before = versions(TrafficShare(version="1", weight=90), TrafficShare(version="2", weight=10))
    after = versions(TrafficShare(version="1", weight=50), TrafficShare(version="2", weight=50))
    assert of_kind(before, "Deployment") == of_kind(after, "Deployment")
    assert of_kind(before, "HTTPRoute") != of_kind(after, "HTTPRoute")


def test_a_gateway_that_can_asks_another_server_when_one_is_gone() -> None:
    (policy,) = of_kind(versions(TrafficShare(version="1", weight=100)), "BackendTrafficPolicy").values()
    assert policy["spec"]["retry"]["perRetry"] == {"timeout": "2000ms"}
    assert "BackendTrafficPolicy" not in made()


def test_kserve_keeps_the_same_pods() -> None:
    scale = Scale(min=1, max=3)
    plain = made(scale=scale)["Deployment"]
    by_kserve = objects(served(scale=scale), cluster(), {**CHOSEN, "serving": "kserve", "traffic": "service"})
    (service,) = of_kind(by_kserve, "InferenceService").values()
    # KServe would make a route of the same name as ours.
    assert service["metadata"]["labels"]["networking.kserve.io/visibility"] == "cluster-local"
    predictor = service["spec"]["predictor"]
    pod = plain["spec"]["template"]["spec"]
    assert predictor["initContainers"] == pod["initContainers"]
    assert predictor["containers"][0]["name"] == "kserve-container"
    assert predictor["containers"][0]["command"] == pod["containers"][0]["command"]
    (scaler,) = of_kind(by_kserve, "HorizontalPodAutoscaler").values()
    assert scaler["spec"]["scaleTargetRef"]["name"] == "app-triage-predictor"


def test_a_service_that_scales_leaves_its_number_to_the_autoscaler_by_the_best_figure_there_is() -> None:
    assert made()["Deployment"]["spec"]["replicas"] == 1
    assert "HorizontalPodAutoscaler" not in made()
    found = made(scale=Scale(min=1, max=4, concurrency=8), custom_metrics=True)
    assert "replicas" not in found["Deployment"]["spec"]
    metric = found["HorizontalPodAutoscaler"]["spec"]["metrics"][0]
    assert metric["pods"]["metric"]["name"] == "plimsoll_requests_under_way"
    assert metric["pods"]["target"]["averageValue"] == "8"
    by_processor = made(scale=Scale(min=1, max=4))["HorizontalPodAutoscaler"]["spec"]["metrics"][0]
    assert by_processor["resource"]["name"] == "cpu"


@given(st.text(min_size=1, max_size=120), st.text(min_size=1, max_size=120), st.integers(1, 1000))
def test_any_names_give_workloads_and_hosts_that_dns_takes(application: str, part: str, workers: int) -> None:
    work = RunCommand(command="true")
    name = names.workload(application, Step(part=part, key=KEY, work=work))
    assert len(name) <= 40
    assert LABEL.fullmatch(name.lstrip("-")), name
    for provider in gang.MAKERS:
        for label in gang.host_names(provider, name, workers)[-1].split("."):
            assert len(label) <= 63


def test_the_same_key_gives_the_same_name_and_another_key_another() -> None:
    step = training()
    other = Step(part=step.part, key=KEY[::-1], work=step.work)
    assert names.workload("app", step) == names.workload("app", step)
    assert names.workload("app", step) != names.workload("app", other)
