"""What of an application on a cluster does not go on: a namespace that does not end, servers that are not ready."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.targets.kubernetes import names, pods
from plimsoll.targets.kubernetes.ends import describe_end
from plimsoll.targets.kubernetes.made_deployments import deployments
from plimsoll.targets.kubernetes.observing import Observing
from plimsoll.targets.kubernetes.work.rollout import is_rolled_out, unready


def waits_of(api: Api, application: str, namespace: str) -> list[str]:
    """One sentence for each; none where all goes on, or where it may not be read."""
    found = list(_of_namespace(api, namespace))
    selector = names.selector(names.of_application(application))
    observing = Observing(api, namespace)
    for each in deployments(api, namespace, selector):
        service = each["metadata"]["labels"].get(names.SERVICE)
        if service and each["spec"].get("replicas", 1) and not is_rolled_out(each):
            reason = unready(api, each, observing)
            words = reason.refusal or reason.reason or "its servers are being replaced"
            found.append(f"the service {service} is not whole: {words}")
    return found


def why_not_ready(api: Api, application: str, namespace: str, service: str) -> str:
    """Why no server of a service is ready; empty when nothing says so."""
    selector = names.selector({**names.of_application(application), names.SERVICE: service})
    observing = Observing(api, namespace)
    for each in deployments(api, namespace, selector):
        reason = unready(api, each, observing)
        if words := reason.refusal or reason.reason:
            return words
    return ""


def why_no_pod(api: Api, namespace: str, service: str) -> str:
    """Why no pod is ready that a Service of anybody leads to; empty when nothing says so."""
    found = api.get("v1", "Service", service, namespace)
    observing = Observing(api, namespace)
    states = [
        pods.standing(pod, observing.about(pod["metadata"]["uid"]) if pods.needs_events(pod) else ())
        for pod in api.list("v1", "Pod", namespace, names.selector(found["spec"].get("selector") or {}))
    ]
    return pods.summary(states, 1) if states else "it has no pods"


def _of_namespace(api: Api, namespace: str) -> Iterator[str]:
    try:
        found = api.find("v1", "Namespace", namespace)
    except ApiError as error:
        if error.status != 403:
            raise
        return
    if found is not None and found["metadata"].get("deletionTimestamp"):
        waits = describe_end(api, found) or "it waits for what is in it to end"
        yield f"the namespace {namespace} is being deleted: {waits}"
