"""A service on a cluster: applied, waited for until every server has verified its model, and proven with a request."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct, to_builtins

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import Waiting
from plimsoll.indexes.names import PREFIX
from plimsoll.kinds.failover import Standby
from plimsoll.kinds.llm import needed_extras
from plimsoll.kinds.predictors import ServedStep
from plimsoll.kinds.serve import ModelShare, Serve, ServeResult
from plimsoll.kubernetes.port_forward import to_service
from plimsoll.llms.engines.engine import Container
from plimsoll.planning.steps import Step
from plimsoll.registry.versions import ModelVersion
from plimsoll.runtime.client import calling_as
from plimsoll.runtime.inference_check import Checked, check_inference
from plimsoll.runtime.llm_check import check_llm
from plimsoll.runtime.sagemaker import ENTRY
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.signing.keys import KeyRing
from plimsoll.targets.assistants import rules_of
from plimsoll.targets.attempt import AttemptOutcome, Progress, done
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.assistants import in_pods as assistant_in_pods
from plimsoll.targets.kubernetes.attempt import ClusterAttempt, ClusterContext
from plimsoll.targets.kubernetes.llms import container_of, places, prefiller_of
from plimsoll.targets.kubernetes.llms import in_pods as llm_in_pods
from plimsoll.targets.kubernetes.made_deployments import deployments
from plimsoll.targets.kubernetes.manifests.callers import in_pods as callers_in_pods
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from plimsoll.targets.kubernetes.manifests.groups import Standby as StandbyPlace
from plimsoll.targets.kubernetes.manifests.models import MODEL
from plimsoll.targets.kubernetes.manifests.sagemaker_endpoint import ENDPOINT
from plimsoll.targets.kubernetes.manifests.serving import objects
from plimsoll.targets.kubernetes.own_code import alone, commands_of, in_pods, pipeline_models
from plimsoll.targets.kubernetes.promotion_lease import PromotionLease
from plimsoll.targets.kubernetes.standing import flaws, records, service_name
from plimsoll.targets.kubernetes.work.callers import bring_callers, forget_callers, require_judged, run_token
from plimsoll.targets.kubernetes.work.cutover import remove_obsolete
from plimsoll.targets.kubernetes.work.endpoint import bring_up, endpoint_address, is_answering
from plimsoll.targets.kubernetes.work.references import Referenced, make_references, watched
from plimsoll.targets.kubernetes.work.register import pushed, version_of
from plimsoll.targets.kubernetes.work.rollout import Waits, is_of, is_rolled_out, roll_out
from plimsoll.targets.local.own_code import version_file
from plimsoll.targets.predictors import identity, own_code
from plimsoll.targets.services import PROMISED, service_file, shares_of


def serve(attempt: ClusterAttempt[Serve]) -> Progress:
    """Bring the service up, or to its new version; it stays up until `plimsoll down`.

    Routes are applied once their servers are ready, and objects of before are removed after that: at no moment a
    request is led to a server that is not there.
    """
    context, step, work = attempt.context, attempt.step, attempt.work
    if work.reference is not None:
        problem = yield from make_references(attempt, work.reference, _referenced(step, context))
        if problem is not None:
            return problem
    served = served_of(step, context)
    for flaw in repairs(step, context) or ():
        yield attempt.seen(Waiting(attempt=attempt.number, reason=f"{flaw}: made as the application says again"))
    PromotionLease(context.api, context.application, context.namespace, served.objects_name).require_none()
    began = time.monotonic()
    manifests = objects(served, context.cluster, context.chosen)
    if context.chosen["serving"] == ENDPOINT:
        return (yield from bring_up(attempt, served, manifests))
    token = bring_callers(context, work, served, manifests)
    unready = yield from _recorded(attempt, roll_out(context, step.key, manifests, attempt.stopping))
    if unready is not None:
        return unready
    ready = time.monotonic() - began
    name = served.objects_name
    with to_service(context.api, context.namespace, name) as address:
        answered = _proven(f"http://{address}", work, served.file.models[0].name, token)
        require_judged(f"http://{address}", work, served, context.namespace)
    if removed := remove_obsolete(context, served.service, manifests, attempt.stopping):
        yield attempt.seen(Waiting(attempt=attempt.number, reason=f"{removed} objects of before are removed"))
    if served.auth is None and forget_callers(context.own, served):
        reason = "the Secret with the callers of before is removed"
        yield attempt.seen(Waiting(attempt=attempt.number, reason=reason))
    result = ServeResult(
        model=", ".join(f"{each.name}@{each.version}" for each in served.file.models),
        digest=served.file.models[0].digest,
        seconds_to_ready=round(ready, 3),
        latency_ms=round(answered.seconds * 1000, 3),
        example=answered.example,
        path=work.example_path,
        url=f"http://{name}.{context.namespace}.svc",
    )
    context.state.fresh_work(step.key)
    context.state.commit(step.key, result)
    return done(result)


def standing(step: Step[Serve], context: ClusterContext) -> ServeResult | None:
    """The result of a service that another run of the same content has brought up; None while it is not up."""
    work = step.work
    if not is_up(step, context):
        return None
    known = [each.served for each in records(context.api, context.application, context.namespace)]
    record = next((each for each in known if each.service == work.service and each.key == step.key), None)
    if record is None:
        return None
    name = record.objects_name
    if context.chosen["serving"] == ENDPOINT:
        # It is asked by nobody here, also not by whoever has brought it up.
        model = ", ".join(f"{each.name}@{each.version}" for each in record.file.models)
        return ServeResult(model=model, digest=record.file.models[0].digest, url=endpoint_address(name))
    try:
        with to_service(context.api, context.namespace, name) as address:
            token = run_token(context.own, record)
            answered = _proven(f"http://{address}", work, record.file.models[0].name, token)
    except PlimsollError:
        # The other run has its servers up, and is still at what leads to them.
        return None
    result = ServeResult(
        model=", ".join(f"{each.name}@{each.version}" for each in record.file.models),
        digest=record.file.models[0].digest,
        latency_ms=round(answered.seconds * 1000, 3),
        example=answered.example,
        path=work.example_path,
        url=f"http://{name}.{context.namespace}.svc",
    )
    context.state.fresh_work(step.key)
    context.state.commit(step.key, result)
    return result


def _proven(url: str, work: Serve, name: str, token: str) -> Checked:
    """A real request to the service. Raises PlimsollError when it does not answer as it should."""
    with calling_as(token):
        if work.llm is not None:
            return check_llm(url, name)
        return check_inference(url, name, to_builtins(work.sample))


def _recorded(attempt: ClusterAttempt[Serve], waits: Waits) -> Generator[Observation, None, AttemptOutcome | None]:
    """What a rollout waits for, as observations."""
    while True:
        try:
            reason = next(waits)
        except StopIteration as end:
            outcome: AttemptOutcome | None = end.value
            return outcome
        yield attempt.seen(Waiting(attempt=attempt.number, reason=reason))


def served_of(step: Step[Serve], context: ClusterContext) -> ServedVersions:
    """What a service's step comes to, with its model where pods find it."""
    work = step.work
    what = _answering(step, context)
    by_endpoint = context.chosen["serving"] == ENDPOINT
    image = _image(step, _versions(work, context).values(), context, starts=ENTRY if by_endpoint else ())
    plain, name = (
        names.service(context.application, work.service),
        service_name(context.api, context.application, context.namespace, work.service),
    )
    return ServedVersions(
        application=context.application,
        name="" if name == plain else name,
        service=work.service,
        file=what.file,
        models=what.models,
        key=step.key,
        resources=step.resources,
        isolation=step.isolation,
        image=image,
        architectures=context.images.architectures(),
        scale=work.in_pods,
        latency=work.latency,
        telemetry=work.telemetry,
        engine=what.engine,
        prefiller=what.prefiller,
        prefillers=work.llm.prefill if work.llm is not None and what.prefiller is not None else 0,
        asks=work.assistant.llm_service if work.assistant is not None else "",
        auth=callers_in_pods(work.auth, name, context.namespace) if work.auth is not None else None,
        watched=watched(step, work.reference, _referenced(step, context), context) if work.reference else {},
        standby=_standby(work, context),
        stands_for=work.stands_for if isinstance(work, Standby) else "",
        trust=KeyRing.default().files() if by_endpoint else {},
    )


def _standby(work: Serve, context: ClusterContext) -> StandbyPlace | None:
    """What has stood by for the service so far, until the step that says so comes to it."""
    if not work.fails_over:
        return None
    known = (each.served for each in records(context.api, context.application, context.namespace))
    return next((each.standby for each in known if each.service == work.service), None)


class _Answering(Struct, frozen=True, kw_only=True):
    """What servers are told, references by the directories in pods, and the engine beside them if they have one.

    `prefiller` is one that only reads questions.
    """

    file: ServiceFile
    models: Mapping[str, str]
    engine: Container | None = None
    prefiller: Container | None = None


def _answering(step: Step[Serve], context: ClusterContext) -> _Answering:
    """What answers, with its models where pods find them."""
    work = step.work
    if work.assistant is None:
        found, models = _files(step, context)
        file = service_file(work, found)
        if work.llm is None:
            return _Answering(file=file, models=models)
        asked = (work.llm, found[0][1], step.resources)
        return _Answering(file=file, models=models, engine=container_of(*asked), prefiller=prefiller_of(*asked))
    plan, versions, url = work.assistant, _versions(work, context), ""
    assert work.llm is not None  # noqa: S101 - an assistant has one
    if plan.llm_service:
        name = service_name(context.api, context.application, context.namespace, plan.llm_service)
        url = f"http://{name}.{context.namespace}.svc/v1"
    rules = rules_of(plan, context.directory)
    made = assistant_in_pods(plan, work.llm, rules, versions.__getitem__, step.resources, url)
    models = {place: pushed(version, context) for place, version in made.versions.items()}
    return _Answering(file=made.file, models=models, engine=made.engine)


def _files(step: Step[Serve], context: ClusterContext) -> tuple[list[tuple[ModelShare, ModelFile]], dict[str, str]]:
    """The shares of a service with what answers for them, and its models' references by where their files are to be."""
    work = step.work
    models: dict[str, str] = {}
    found = []
    versions = _versions(work, context)
    if work.llm is not None:
        file = llm_in_pods(work.llm, lambda each: versions[each.reference])
        models = {place: pushed(versions[each.reference], context) for place, each in places(work.llm).items()}
        return [(share, file) for share in shares_of(work)], models
    code = own_code(work.own, in_pods(work), work.sample) if work.own is not None else None
    for share in shares_of(work):
        if not share.model:
            found.append((share, alone(step, lambda each: versions[each.model])))
            continue
        version = versions[share.model]
        place = f"{MODEL}s/{version.version}"
        models[place] = pushed(version, context)
        found.append((share, version_file(version, {name: Path(place, name) for name in version.files}, code)))
    models |= {place: pushed(versions[each.model], context) for each, place in pipeline_models(work)}
    return found, models


def _referenced(step: Step[Serve], context: ClusterContext) -> Iterator[Referenced]:
    """The versions whose drift is watched."""
    work = step.work
    found, models = _files(step, context)
    promised = {each.digest: each.metrics.get(PROMISED) for each in _versions(work, context).values()}
    table = work.reference.file if work.reference is not None else None
    extras = ("drift", *(("parquet",) if table is None or table.endswith(".parquet") else ()))
    for _, file in found:
        own = file.code is not None or bool(file.steps)
        places = file.places()
        needed = {place: reference for place, reference in models.items() if place in places}
        yield Referenced(
            name=file.name,
            version=file.version,
            digest=file.digest,
            models=needed if own else {MODEL: next(iter(needed.values()))},
            promised=promised.get(file.digest),
            code=file if own else None,
            identity=identity(work),
            image=_image_of_code(step, context, *extras) if own else "",
        )


def _image_of_code(step: Step[Serve], context: ClusterContext, *extras: str) -> str:
    """The image with our server and the user's own code, as it is in the image of a step that runs it."""
    code = {pair for each in commands_of(step.work) for pair in each.files}
    environments = [(each.name, each.digest) for each in step.ingredients if each.kind == "environment"]
    environment = environments[0] if step.work.environment is not None else None
    return context.images.of_step(sorted(code), environment, "serve", *extras)


def _versions(work: Serve, context: ClusterContext) -> dict[str, ModelVersion]:
    """Versions of a service by what its shares call them."""
    wanted: list[ModelShare | ServedStep] = [*shares_of(work), *work.pipeline]
    found = {each.model: version_of(each.model, each.register_key, context) for each in wanted if each.model}
    if work.assistant is not None:
        found[work.assistant.index] = version_of(work.assistant.index, work.assistant.index_key, context)
    llms = work.llm.models if work.llm is not None else ()
    return found | {each.reference: version_of(each.reference, each.register_key, context) for each in llms}


def _image(
    step: Step[Serve], versions: Iterable[ModelVersion], context: ClusterContext, starts: tuple[str, ...] = ()
) -> str:
    """The image with what the servers need; with what explains XGBoost's models where this machine has that."""
    work = step.work
    wanted = {"drift": work.reference is not None, "otel": work.telemetry.traces}
    extras = [extra for extra, is_wanted in wanted.items() if is_wanted]
    if work.assistant is not None or work.model.startswith(PREFIX):
        extras.append("retrieval")
    if work.auth is not None and work.auth.jwt is not None:
        extras.append("jwt")
    if work.assistant is not None and work.assistant.llm_service:
        return context.images.runtime(*extras)
    if work.llm is not None:
        return context.images.runtime(*extras, *needed_extras(work.llm))
    if any(commands_of(work)):
        return _image_of_code(step, context, *extras)
    if any(version.framework == "xgboost" for version in versions):
        with contextlib.suppress(MissingExtra):
            return context.images.runtime(*extras, "explain", starts=starts)
    return context.images.runtime(*extras, starts=starts)


def is_up(step: Step[Serve], context: ClusterContext) -> bool:
    """Whether the service of exactly this key is there and whole.

    What a promotion moves, or has left behind, is neither gone nor changed by somebody else.
    """
    service = step.work.service
    if context.chosen["serving"] == ENDPOINT:
        name = service_name(context.api, context.application, context.namespace, service)
        return is_answering(context, name, step.key) and repairs(step, context) == []
    selector = names.selector({**names.of_application(context.application), names.SERVICE: service})
    found = deployments(context.api, context.namespace, selector)
    if not found or not all(is_of(each, step.key) and is_rolled_out(each) for each in found):
        return False
    name = service_name(context.api, context.application, context.namespace, service)
    promotion = PromotionLease(context.api, context.application, context.namespace, name)
    return bool(promotion.note()) or repairs(step, context) == []


def repairs(step: Step[Serve], context: ClusterContext) -> list[str] | None:
    """What of the service of exactly this key is gone or was changed; None when no record says that it was up."""
    for record in records(context.api, context.application, context.namespace):
        if record.served.service == step.work.service and record.served.key == step.key:
            return [each.sentence for each in flaws(context.own, record, context.cluster, context.chosen)]
    return None
