"""A trained model or a built index: signed on this machine, then sent to the registry of the cluster."""

from __future__ import annotations

from msgspec.structs import replace

from plimsoll.kinds.index import IndexResult
from plimsoll.kinds.index_release import ReleaseIndex
from plimsoll.kinds.register import Register, RegisterResult
from plimsoll.kinds.train import TrainResult
from plimsoll.registry.transfer import push_model
from plimsoll.registry.versions import ModelVersion
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.attempt import Progress, W, done
from plimsoll.targets.kubernetes.attempt import ClusterAttempt, ClusterContext
from plimsoll.targets.kubernetes.images import Images
from plimsoll.targets.kubernetes.work.local import done_here
from plimsoll.targets.models import model_registry, registered_version


def register(attempt: ClusterAttempt[Register]) -> Progress:
    """Add what rank 0 left here, and have it where pods pull from."""
    context, work = attempt.context, attempt.work
    context.results.fetch(work.train_key, TrainResult, context.state, tables=not attempt.step.stays)
    return (yield from _registered(attempt, work.model))


def release(attempt: ClusterAttempt[ReleaseIndex]) -> Progress:
    """Add the index that a pod has built, with its models, and have it where pods pull from."""
    context, work = attempt.context, attempt.work
    context.results.fetch(work.build_key, IndexResult, context.state)
    return (yield from _registered(attempt, work.model))


def _registered(attempt: ClusterAttempt[W], name: str) -> Progress:
    """Sign it with the user's own key, and push the version; its result says where pods pull it."""
    context = attempt.context
    outcome = yield from done_here(attempt)
    if not isinstance(outcome.result, RegisterResult):
        return outcome
    version = model_registry(context.state).find(f"{name}@{outcome.result.version}")
    result = replace(outcome.result, reference=pushed(version, context))
    context.state.fresh_work(attempt.step.key)
    context.state.commit(attempt.step.key, result)
    return done(result)


def version_of(reference: str, register_key: str | None, context: ClusterContext) -> ModelVersion:
    """The version that a service or a batch uses. Raises ModelRefused for one that may not be served."""
    if register_key is not None:
        number = registered_version(context.state, reference, register_key)
        reference = f"{reference.partition('@')[0]}@{number}"
    registry = model_registry(context.state)
    version = registry.find(reference)
    registry.require_servable(version)
    return version


def pushed(version: ModelVersion, context: ClusterContext) -> str:
    """Have a version in the cluster's registry; gives its reference by digest, as pods reach it."""
    return push_version(version, context.state, context.images)


def push_version(version: ModelVersion, state: StateDirectory, images: Images) -> str:
    """Have a version of this machine in the registry of images; gives its reference by digest, as pods reach it."""
    with images.repository(f"models/{version.name}") as repository:
        push_model(model_registry(state), version, repository)
        images.sign(repository, version.digest)
    return images.for_pods(f"models/{version.name}", version.digest)
