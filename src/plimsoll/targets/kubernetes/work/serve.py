"""A service on a cluster: applied, waited for until every server has verified its model, and proven with a request."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterable
from pathlib import Path

from plimsoll.application.model import Scale
from plimsoll.errors import MissingExtra
from plimsoll.evidence.observation import Observation
from plimsoll.kubernetes.api import Api, Manifest
from plimsoll.kubernetes.objects import has_condition
from plimsoll.kubernetes.port_forward import to_service
from plimsoll.planning.steps import Serve, Step
from plimsoll.registry.versions import ModelVersion
from plimsoll.runtime.inference_check import check_inference
from plimsoll.targets.kubernetes import names, pods
from plimsoll.targets.kubernetes.context import Attempt, Context, Progress
from plimsoll.targets.kubernetes.manifests.groups import Served
from plimsoll.targets.kubernetes.manifests.kserve import deployment_of
from plimsoll.targets.kubernetes.manifests.models import MODEL
from plimsoll.targets.kubernetes.manifests.serving import objects
from plimsoll.targets.kubernetes.watching import LOOK
from plimsoll.targets.kubernetes.work.cutover import LEADING, apply, lead, let_go, there
from plimsoll.targets.kubernetes.work.references import make_references, watched
from plimsoll.targets.kubernetes.work.register import pushed, version_of
from plimsoll.targets.local.attempt import Outcome, failed
from plimsoll.targets.local.models import onnx_name
from plimsoll.targets.local.servers import model_file
from plimsoll.targets.services import service_file, shares_of

GATEWAY_LIMIT = 60.0
"""Seconds for a new gateway to take requests."""
READY_LIMIT = 300.0
"""Seconds for all servers of a service to be ready: nodes may have to pull its image first."""


def serve(attempt: Attempt) -> Progress:
    """Bring the service up, or to its new version; it stays up until `plimsoll down`.

    What leads requests to servers is applied once they are ready, and what was there before is removed after that: at
    no moment a request is led to nobody.
    """
    context, work = attempt.context, attempt.step.work
    assert isinstance(work, Serve)  # noqa: S101 - the table of work says so
    if work.reference is not None:
        problem = yield from make_references(attempt, _versions(work, context).values())
        if problem is not None:
            return problem
    served = served_of(attempt.step, context)
    began = time.monotonic()
    manifests = objects(served, context.cluster, context.chosen)
    name = names.service(context.application, served.service)
    held = [each for each in manifests if each["kind"] in LEADING]
    for manifest in manifests:
        if manifest not in held:
            apply(context, manifest)
    unready = yield from _until_ready(attempt, [made for each in manifests if (made := _deployment(each))])
    if unready is not None:
        return unready
    lead(attempt, held)
    yield from _until_programmed(attempt, manifests)
    ready = time.monotonic() - began
    with to_service(context.api, context.namespace, name) as address:
        latency = check_inference(f"http://{address}", served.file.models[0].name)
    if removed := let_go(attempt, served.service, manifests):
        yield attempt.seen("waiting", reason=f"{removed} objects of before are removed")
    return Outcome(
        state="done",
        result={
            "model": ", ".join(f"{each.name}@{each.version}" for each in served.file.models),
            "digest": served.file.models[0].digest,
            "seconds_to_ready": round(ready, 3),
            "latency_ms": round(latency * 1000, 3),
            "url": f"http://{name}.{context.namespace}.svc",
        },
    )


def _is_of(found: Manifest, step_key: str) -> bool:
    return bool(found["metadata"].get("annotations", {}).get(names.KEY) == step_key)


def _until_programmed(attempt: Attempt, manifests: list[Manifest]) -> Generator[Observation, None, None]:
    """Waits until the gateway takes requests. Without it the service is still reached from inside."""
    context, deadline = attempt.context, time.monotonic() + GATEWAY_LIMIT
    for gateway in (each for each in manifests if each["kind"] == "Gateway"):
        while not has_condition(there(context, gateway) or {}, "Programmed"):
            if attempt.stopping.is_set():
                return
            if time.monotonic() > deadline:
                reason = f"the gateway takes no requests after {GATEWAY_LIMIT:g} s"
                yield attempt.seen("waiting", reason=reason)
                return
            attempt.stopping.wait(LOOK)


def _deployment(manifest: Manifest) -> str:
    """The name of the Deployment that an object is or becomes; empty for others."""
    name: str = manifest["metadata"]["name"]
    return {"Deployment": name, "InferenceService": deployment_of(name)}.get(manifest["kind"], "")


def _until_ready(attempt: Attempt, waiting: list[str]) -> Generator[Observation, None, Outcome | None]:
    """Waits until every server is ready; gives what the step comes to when that is not going to be."""
    context, said = attempt.context, ""
    deadline = time.monotonic() + READY_LIMIT
    while waiting:
        found = context.api.find("apps/v1", "Deployment", waiting[0], context.namespace)
        if found and _rolled_out(found) and _is_of(found, attempt.step.key):
            waiting.pop(0)
            continue
        if attempt.stopping.is_set():
            return Outcome(state="stopped", reason="stopped")
        reason, hopeless = _waits(context, found) if found else ("KServe has not made the servers yet", False)
        if reason and reason != said:
            yield attempt.seen("waiting", reason=reason)
            said = reason
        if hopeless:
            return failed(reason)
        if time.monotonic() > deadline:
            return failed(f"the service was not ready within {READY_LIMIT:g} s: {reason or 'no reason is given'}")
        attempt.stopping.wait(LOOK)
    return None


def served_of(step: Step, context: Context) -> Served:
    """What a service's step comes to, with its model where pods find it."""
    work = step.work
    assert isinstance(work, Serve)  # noqa: S101 - the table of work says so
    models: dict[str, str] = {}
    found = []
    versions = _versions(work, context)
    for share in shares_of(work):
        version = versions[share.model]
        place = f"{MODEL}s/{version.version}"
        models[place] = pushed(version, context)
        found.append((share, model_file(version, Path(place, onnx_name(version)))))
    return Served(
        application=context.application,
        service=work.service,
        file=service_file(work, found),
        models=models,
        key=step.key,
        share=step.share,
        image=_image(work, versions.values(), context),
        scale=work.scale or Scale(),
        latency=work.latency,
        telemetry=work.telemetry,
        watched=watched(step, versions.values(), context) if work.reference is not None else {},
    )


def _versions(work: Serve, context: Context) -> dict[str, ModelVersion]:
    """Versions of a service by what its shares call them."""
    return {share.model: version_of(share.model, share.register_key, context) for share in shares_of(work)}


def _image(work: Serve, versions: Iterable[ModelVersion], context: Context) -> str:
    """The image with what the servers need; with what explains XGBoost's models where this machine has that."""
    wanted = {"drift": work.reference is not None, "otel": work.telemetry.traces}
    extras = [extra for extra, is_wanted in wanted.items() if is_wanted]
    if any(version.framework == "xgboost" for version in versions):
        with contextlib.suppress(MissingExtra):
            return context.images.runtime(*extras, "explain")
    return context.images.runtime(*extras)


def is_up(api: Api, application: str, namespace: str, step_key: str, service: str) -> bool:
    """Whether the service of exactly this key is there and whole."""
    selector = names.selector({**names.of_application(application), names.SERVICE: service})
    found = api.list("apps/v1", "Deployment", namespace, selector)
    return bool(found) and all(_is_of(each, step_key) and _rolled_out(each) for each in found)


def _rolled_out(found: Manifest) -> bool:
    status, wanted = found.get("status", {}), found["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= found["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == wanted == status.get("availableReplicas", 0)
    )


def _waits(context: Context, found: Manifest) -> tuple[str, bool]:
    """Why the newest pods are not ready, in words, and whether waiting is of no use."""
    selector = names.selector(found["spec"]["selector"]["matchLabels"])
    key = found["spec"]["template"]["metadata"]["annotations"][names.CONTENT]
    newest = [
        pod
        for pod in context.api.list("v1", "Pod", context.namespace, selector)
        if pod["metadata"].get("annotations", {}).get(names.CONTENT) == key
    ]
    refused = next((said for pod in newest if (said := _refused(pod))), "")
    if refused:
        return refused, True
    standings = [pods.standing(pod) for pod in newest]
    hopeless = next((each.problem for each in standings if each.hopeless), "")
    return hopeless or pods.summary(standings, found["spec"].get("replicas", 1)), bool(hopeless)


_PATIENCE = 3


def _refused(pod: Manifest) -> str:
    """What a container says that has failed again and again, such as a model that nobody trusted has signed."""
    status = pod.get("status", {})
    for each in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        last = each.get("lastState", {}).get("terminated", {}) or each.get("state", {}).get("terminated", {})
        if each.get("restartCount", 0) >= _PATIENCE and last.get("message"):
            return f"{each['name']}: {last['message'].strip().splitlines()[-1][:300]}"
    return ""
