"""Whether a service's objects stand on the cluster as they should, by the record that is kept beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.kubernetes.cluster import GATEWAY, Cluster
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.made_deployments import deployments
from plimsoll.targets.kubernetes.manifests.callers import secret_name
from plimsoll.targets.kubernetes.manifests.disaggregated import PREFILL
from plimsoll.targets.kubernetes.manifests.failover import VERSION as FAILOVER
from plimsoll.targets.kubernetes.manifests.failover import words_of_failover
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from plimsoll.targets.kubernetes.manifests.inference_pool import PICKER
from plimsoll.targets.kubernetes.manifests.sagemaker_endpoint import ENDPOINT
from plimsoll.targets.kubernetes.manifests.serving import PROVIDERS, RECORD, SERVED, objects
from plimsoll.targets.kubernetes.own_objects import OwnObjects
from plimsoll.targets.services import shares_sentence

NEEDED = frozenset(
    {
        "Service",
        "Deployment",
        "InferenceService",
        "LLMInferenceService",
        "InferencePool",
        "HTTPRoute",
        "Gateway",
        "Endpoint",
    }
)
"""Kinds without which no request arrives."""
_PROVIDERS = msgspec.json.Decoder(dict[str, str])


class Record(Struct, frozen=True, kw_only=True):
    """What a service serves as its ConfigMap says, and by which providers; none are known of an older version."""

    served: ServedVersions
    providers: Mapping[str, str]


class Flaw(Struct, frozen=True, kw_only=True):
    """An object that is not as it should be. `fatal` says that no request arrives without it."""

    sentence: str
    fatal: bool


def records(api: Api, application: str, namespace: str) -> list[Record]:
    """The records of an application's services. One that cannot be read is none."""
    selector = names.selector(names.of_application(application))
    found = []
    for each in api.list("v1", "ConfigMap", namespace, selector):
        data = each.get("data", {})
        if not each["metadata"]["name"].endswith(RECORD) or SERVED not in data:
            continue
        try:
            served = msgspec.json.decode(data[SERVED], type=ServedVersions)
            providers = _PROVIDERS.decode(data.get(PROVIDERS, "{}"))
        except msgspec.DecodeError:
            continue
        found.append(Record(served=where_led(api, served, namespace), providers=providers))
    return found


def failed_over(api: Api, served: ServedVersions, namespace: str) -> Mapping[str, str] | None:
    """Since when requests of a service go to its standby, and why; None while they go to its own servers."""
    if served.standby is None:
        return None
    try:
        route = api.find(GATEWAY, "HTTPRoute", served.objects_name, namespace)
    except ApiError as error:
        if error.status != 403:
            raise
        return None
    told = words_of_failover(route) if route is not None else ""
    try:
        return _PROVIDERS.decode(told) if told else None
    except msgspec.DecodeError:
        return None


def where_led(api: Api, served: ServedVersions, namespace: str) -> ServedVersions:
    """What a service serves, with where its requests go now: whoever applies the route leaves them there."""
    if served.standby is None:
        return served
    leads = failed_over(api, served, namespace) is not None
    return replace(served, standby=replace(served.standby, leads=leads))


def service_name(api: Api, application: str, namespace: str, service: str) -> str:
    """What a service's objects are called in a namespace: as its record says once it has one.

    Where another application, or another service, has the name that goes without saying, it is one with a mark.
    """
    plain = names.service(application, service)
    try:
        for each in records(api, application, namespace):
            if each.served.service == service:
                return each.served.objects_name
        found = api.find("v1", "Service", plain, namespace)
    except ApiError as error:
        # Whoever may only call a service need not have the right to read what it was made from.
        if error.status != 403:
            raise
        return plain
    labels = (found or {"metadata": {}})["metadata"].get("labels") or {}
    free = names.APPLICATION not in labels
    ours = labels.get(names.APPLICATION) == application and labels.get(names.SERVICE) in (None, service)
    return plain if free or ours else names.service_apart(application, service)


def flaws(own: OwnObjects, record: Record, cluster: Cluster, chosen: Mapping[str, str]) -> list[Flaw]:
    """What of a service is gone or was changed since it was made.

    It is held against the providers that it was made by; `chosen` are those of a record of before, which names none.
    """
    try:
        manifests = objects(record.served, cluster, record.providers or chosen)
    except (KeyError, IndexError):
        # Such as a gateway of a class that is gone.
        return [Flaw(sentence="the cluster no longer has what the service was made with", fatal=False)]
    found = [
        Flaw(sentence=problem.sentence, fatal=problem.gone and problem.manifest["kind"] in NEEDED)
        for problem in own.problems(manifests)
    ]
    return [*found, *_without_callers(own, record.served)]


def _without_callers(own: OwnObjects, served: ServedVersions) -> Iterator[Flaw]:
    """What servers know their callers by and is gone: no pod starts without it. Its content is in no record."""
    if served.auth is None:
        return
    secret = _plain("Secret", secret_name(served))
    try:
        there = own.find(secret) is not None
    except ApiError as error:
        if error.status != 403:
            raise
        there = True
    if not there:
        yield Flaw(sentence=f"Secret {secret_name(served)} is gone", fatal=False)


def unreachable(api: Api, application: str, cluster: Cluster, chosen: Mapping[str, str]) -> dict[str, str]:
    """Services to which no request leads, by name, with the reason; by their records, and by servers without one."""
    own = OwnObjects(api, application, cluster.namespace)
    servers = _servers(api, application, cluster.namespace)
    found: dict[str, str] = {}
    recorded = set()
    for record in records(api, application, cluster.namespace):
        service = record.served.service
        recorded.add(service)
        if record.providers.get("serving") == ENDPOINT:
            # Its servers are SageMaker's: an Endpoint that does not answer is no service that is up.
            continue
        wrong = flaws(own, record, cluster, chosen)
        standby = record.served.standby
        answered = bool(servers.get(service)) or (standby is not None and standby.leads)
        told = [each.sentence for each in wrong if each.fatal or not answered]
        if told or not answered:
            found[service] = "; ".join(told) or "none of its servers is ready"
    for service in servers.keys() - recorded:
        name = service_name(api, application, cluster.namespace, service)
        if own.find(_plain("Service", name)) is None:
            found[service] = f"Service {name} is gone"
    return found


def shares_of_service(api: Api, application: str, namespace: str, service: str) -> list[str]:
    """Which versions the requests of a service go to, as its record says; none where one version has them all."""
    served = [each.served for each in records(api, application, namespace) if each.served.service == service]
    several = [each for each in served if len(each.file.models) > 1 and not each.assists]
    return [shares_sentence(each.file, each.file.models[0].name) for each in several]


def notes(api: Api, application: str, service: str, cluster: Cluster, chosen: Mapping[str, str]) -> list[str]:
    """What of a running service is not as it should be."""
    own = OwnObjects(api, application, cluster.namespace)
    found = [each for each in records(api, application, cluster.namespace) if each.served.service == service]
    if not found and service in _servers(api, application, cluster.namespace):
        name = service_name(api, application, cluster.namespace, service)
        return [f"ConfigMap {name}{RECORD} is gone"]
    told = [sentence for record in found for sentence in _standbys(api, record.served, cluster.namespace)]
    return [*told, *(each.sentence for record in found for each in flaws(own, record, cluster, chosen))]


def _standbys(api: Api, served: ServedVersions, namespace: str) -> Iterator[str]:
    """What stands by for a service, or what it stands by for itself, and where requests go."""
    if served.stands_for:
        yield f"it stands by for {served.stands_for}"
    if (standby := served.standby) is None:
        return
    away = failed_over(api, served, namespace)
    if away is not None:
        why = f": {away['why']}" if away.get("why") else ""
        yield f"failed over to {standby.to} at {standby.address} since {away.get('since', 'some time')}{why}"
    else:
        yield f"{standby.to} stands by at {standby.address}, after {standby.after:g} s without a ready server"


def _servers(api: Api, application: str, namespace: str) -> dict[str, int]:
    """How many servers of each service are ready."""
    selector = names.selector(names.of_application(application))
    found: dict[str, int] = {}
    # A picker answers nothing itself, and what leads to a standby is none of the servers.
    for each in deployments(api, namespace, f"{selector},{names.VERSION} notin ({PICKER},{PREFILL},{FAILOVER})"):
        if each["metadata"]["labels"].get(names.VERSION) == PREFILL:
            continue
        if service := each["metadata"]["labels"].get(names.SERVICE):
            ready = each.get("status", {}).get("availableReplicas", 0)
            found[service] = found.get(service, 0) + ready
    return found


def _plain(kind: str, name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}
