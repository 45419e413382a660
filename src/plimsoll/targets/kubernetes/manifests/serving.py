"""A service by Deployment and Service, with what belongs to it: a way in, a policy of who may use it, a monitor."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.runtime.pod_task import WORK
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests import callers
from plimsoll.targets.kubernetes.manifests.claims import claim_template
from plimsoll.targets.kubernetes.manifests.disaggregated import is_disaggregated, readers, sidecar, writing
from plimsoll.targets.kubernetes.manifests.engines import (
    BESIDE_ENGINE,
    engine_container,
    engine_volumes,
    key_variables,
)
from plimsoll.targets.kubernetes.manifests.failover import failing_over, without_state
from plimsoll.targets.kubernetes.manifests.groups import PORT, Group, ServedVersions, grouped
from plimsoll.targets.kubernetes.manifests.inference_pool import through_pool
from plimsoll.targets.kubernetes.manifests.kserve import deployment_of, inference_service
from plimsoll.targets.kubernetes.manifests.llm_inference_service import by_kserve, llm_inference_service, main_of
from plimsoll.targets.kubernetes.manifests.models import with_models
from plimsoll.targets.kubernetes.manifests.monitoring import monitoring
from plimsoll.targets.kubernetes.manifests.nodes import on_nodes
from plimsoll.targets.kubernetes.manifests.observing import variables, watching, with_references
from plimsoll.targets.kubernetes.manifests.pod import (
    RESTRICTED,
    RESTRICTED_POD,
    authorities_volume,
    wanted,
)
from plimsoll.targets.kubernetes.manifests.policies import service_policy
from plimsoll.targets.kubernetes.manifests.runtimes import runtime_of
from plimsoll.targets.kubernetes.manifests.sagemaker_endpoint import ENDPOINT, endpoint_objects
from plimsoll.targets.kubernetes.manifests.scaling import (
    activator_labels,
    activator_of,
    by_activator,
    scaling,
    servers_of,
)
from plimsoll.targets.kubernetes.manifests.traffic import ways_in

RECORD = "-served"
"""What the name of a service's record ends with."""
SERVED, PROVIDERS = "served.json", "providers.json"
TOLD = "/plimsoll/service"
ADMIN = "/plimsoll/admin"
ADMIN_SECRET = "plimsoll-admin"  # noqa: S105  # the name of a Secret
"""The Secret with the token for calls that change a server. Without it they are refused."""
DRAIN = 25
"""Seconds that a server has for requests under way when it is told to end; one of a language model has as many as an
answer may take."""
WITHDRAWN = 5
"""Seconds between a pod's end being decided and its server being told: until then balancers still send requests."""


def objects(served: ServedVersions, cluster: Cluster, chosen: Mapping[str, str]) -> list[Manifest]:
    """All objects of a service, in the order in which they are applied; what leads requests to its servers comes last.

    `chosen` are providers by need: serving, traffic, metrics.

    Behind a gateway each version has servers of its own, among which the route shares; elsewhere every server has all
    versions and shares the requests itself.
    """
    name = served.objects_name
    labels = {**names.of_application(served.application), names.SERVICE: served.service}
    if chosen["serving"] == ENDPOINT and cluster.sagemaker is not None:
        record = served_record(name, labels, served, chosen)
        return [record, *endpoint_objects(name, labels, served, cluster.sagemaker)]
    groups = grouped(name, served, labels, apart=chosen["traffic"] == "gateway")
    found = [
        service_account(served.application, cluster.pull_secrets),
        service_policy(name, labels, served, cluster, held=by_activator(served.scale, chosen)),
        _budget(name, labels),
    ]
    found += callers.rights_to_ask(served, labels)
    found += claim_template(served.application, served.resources, cluster)
    found.append(served_record(name, labels, served, chosen))
    for each in groups:
        found += _servers(each, cluster, chosen)
    if chosen["traffic"] == "gateway":
        found += failing_over(served, labels, cluster)
    if chosen["metrics"] == "operator":
        first, apart = served.file.models[0], len(groups) > 1
        llm = any(each.llm is not None for each in served.file.models)
        writer = first.assistant.llm if first.assistant is not None else ""
        found += monitoring(
            name, served.service, first.name, labels, served.latency, apart=apart, llm=llm, writer=writer
        )
    found += _fronts(name, labels, groups, chosen)
    if chosen["traffic"] == "gateway":
        found += ways_in(name, served.application, served.service, labels, groups, cluster)
    return through_pool(found, groups, cluster, chosen)


def served_record(name: str, labels: dict[str, str], served: ServedVersions, chosen: Mapping[str, str]) -> Manifest:
    """What the service serves, as one value, and by which providers.

    A promotion from any machine starts from it and not from the file, and whether all of it is there is told by it.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}{RECORD}", "labels": labels},
        "data": {
            SERVED: msgspec.json.encode(without_state(served), order="deterministic").decode(),
            PROVIDERS: msgspec.json.encode(dict(chosen), order="deterministic").decode(),
        },
    }


def _servers(group: Group, cluster: Cluster, chosen: Mapping[str, str]) -> list[Manifest]:
    """The servers of one group, with what they are told and what scales them."""
    told = _told(group)
    apart = [readers(group, cluster, callers.account_of(group.served))] if is_disaggregated(group.served) else []
    servers = deployment(group, cluster, told["metadata"]["name"], annotated=chosen["metrics"] == "annotations")
    scaled = group.name
    if by_kserve(group.served, chosen):
        servers = llm_inference_service(servers, group.served, *apart)
        apart = []
        scaled = main_of(group.name)
    elif chosen["serving"] == "kserve":
        servers = inference_service(servers, group.served.scale)
        scaled = deployment_of(servers["metadata"]["name"])
    found = [told, *apart, servers]
    return [*found, *scaling(group, scaled, cluster, chosen)]


def _fronts(
    name: str, labels: dict[str, str], groups: Sequence[Group], chosen: Mapping[str, str]
) -> Iterator[Manifest]:
    """The Services by which servers are found; where an activator stands before them, they have one of their own."""
    held = by_activator(groups[0].served.scale, chosen)
    to = [activator_labels(each) if held else each.labels for each in groups]
    for group, target in zip(groups, to, strict=True):
        if held:
            yield _service(servers_of(group.name), group.labels)
            yield _service(activator_of(group.name), target)
        if group.version:
            yield _service(group.name, group.labels, to=target)
    yield _service(name, labels, to=to[0])


def service_account(application: str, pull_secrets: Sequence[str] = ()) -> Manifest:
    """An account without any right, and without a token in its pods. They pull images as others of the namespace do."""
    secrets = {"imagePullSecrets": [{"name": each} for each in pull_secrets]} if pull_secrets else {}
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": application, "labels": names.of_application(application)},
        "automountServiceAccountToken": False,
        **secrets,
    }


def _told(group: Group) -> Manifest:
    """What the servers read. Its name changes with its content: pods follow a change as they follow a new image."""
    text = msgspec.json.encode(group.served.file, order="deterministic").decode()
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{group.name}-{_mark(text)[:8]}", "labels": group.labels},
        "data": {"service.json": text},
    }


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def deployment(group: Group, cluster: Cluster, told: str, *, annotated: bool = False) -> Manifest:
    """The servers. A new version replaces them one by one, each only once its successor has verified its model.

    The step's key stands on the deployment alone: a change that is none to its pods, such as of weights, leaves them.
    """
    name, served, labels = group.name, group.served, group.labels
    claimed, resources = wanted(served.resources, cluster, served.application)
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT)} if annotated else {}
    pod: Manifest = {
        "metadata": {"labels": {**labels, **writing(served, group)}, "annotations": scraped},
        "spec": {
            "serviceAccountName": callers.account_of(served),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": _drain(served) + WITHDRAWN + 5,
            "securityContext": RESTRICTED_POD,
            "containers": _containers(served, resources),
            **({"initContainers": before} if (before := sidecar(served)) else {}),
            "volumes": [
                {"name": "work", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {}},
                *engine_volumes(served),
                {"name": "told", "configMap": {"name": told}},
                {"name": "admin", "secret": {"secretName": ADMIN_SECRET, "optional": True}},
                *callers.volumes(served),
                authorities_volume(),
            ],
            "topologySpreadConstraints": [_spread(labels)],
            **claimed,
            **runtime_of(served.isolation, cluster),
        },
    }
    pod["spec"] = on_nodes(pod["spec"], served.resources, cluster, served.architectures)
    template = with_references(with_models(pod, served.models, served.image, served.application), served)
    template["metadata"]["annotations"][names.CONTENT] = _mark(msgspec.json.encode(template, order="sorted").decode())
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels, "annotations": {names.KEY: served.key}},
        "spec": {
            # What an autoscaler sets is not ours to set again.
            **({} if served.scale.max > served.scale.min else {"replicas": max(1, served.scale.min)}),
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "progressDeadlineSeconds": 300,
            "template": template,
        },
    }


def _containers(served: ServedVersions, resources: Manifest) -> list[Manifest]:
    """The server, and the engine beside it that has the service's resources then."""
    if served.engine is None:
        return [_server(served, resources)]
    return [_server(served, BESIDE_ENGINE), engine_container(served.engine, resources)]


def _server(served: ServedVersions, resources: Manifest) -> Manifest:
    """The container that answers."""
    threads = max(1, int(served.resources.cores))
    return {
        "name": "server",
        "image": served.image,
        "command": [
            *("python", *_isolated(served), "-m", "plimsoll.runtime.server", "--service", f"{TOLD}/service.json"),
            *("--host", "0.0.0.0", "--port", str(PORT), "--threads", str(threads), "--drain", str(_drain(served))),  # noqa: S104
            *("--admin-token-file", f"{ADMIN}/token"),
            *callers.words(served),
            *watching(served),
        ],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        **variables(served),
        **key_variables(served),
        **_patient(served),
        "resources": resources,
        "securityContext": {**RESTRICTED, "readOnlyRootFilesystem": True},
        "readinessProbe": {"httpGet": {"path": "/v2/health/ready", "port": "http"}, "periodSeconds": 2},
        "livenessProbe": {
            "httpGet": {"path": "/v2/health/live", "port": "http"},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": WITHDRAWN}}},
        "volumeMounts": [
            {"name": "work", "mountPath": WORK},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # in a container
            {"name": "told", "mountPath": TOLD, "readOnly": True},
            {"name": "admin", "mountPath": ADMIN, "readOnly": True},
            *callers.mounts(served),
        ],
    }


def _drain(served: ServedVersions) -> int:
    return max(DRAIN, served.longest_answer + 1)


def _isolated(served: ServedVersions) -> tuple[str, ...]:
    """The option by which the server does not import from where it starts, which is where the user's code is."""
    return ("-P",) if _has_own_code(served) else ()


def _patient(served: ServedVersions) -> Manifest:
    """The user's own code or a large model may take its time: until then nobody asks whether the server lives."""
    if not _takes_time(served):
        return {}
    live = {"httpGet": {"path": "/v2/health/live", "port": "http"}, "periodSeconds": 2, "failureThreshold": 100}
    return {"startupProbe": live}


def _has_own_code(served: ServedVersions) -> bool:
    return any(True for model in served.file.models for _ in model.commands())


def _takes_time(served: ServedVersions) -> bool:
    """Whether the server starts other processes before it answers, or reads an index, which may be large."""
    return _has_own_code(served) or any(model.llm is not None or model.index for model in served.file.models)


def _spread(labels: dict[str, str]) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }


def _service(name: str, labels: dict[str, str], to: dict[str, str] | None = None) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "selector": to or labels,
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}],
        },
    }


def _budget(name: str, labels: dict[str, str]) -> Manifest:
    """A node that is drained takes one server after the other."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "labels": labels},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
    }
