"""A trained model into the registry: signed on this machine, with the user's own key, then sent to the cluster's."""

from __future__ import annotations

from plimsoll.errors import TargetError
from plimsoll.planning.steps import Score, Step
from plimsoll.registry.transfer import push_model
from plimsoll.registry.versions import ModelVersion, require_accepted
from plimsoll.targets.kubernetes.context import Attempt, Context, Progress
from plimsoll.targets.kubernetes.work.local import done_here
from plimsoll.targets.local.attempt import Outcome
from plimsoll.targets.local.models import model_registry


def register(attempt: Attempt) -> Progress:
    """Add what rank 0 left here, and have it where pods pull from."""
    outcome = yield from done_here(attempt)
    if outcome.state != "done":
        return outcome
    version = model_registry(attempt.context.state).find(f"{_model(attempt.step)}@{outcome.result['version']}")
    reference = pushed(version, attempt.context)
    return Outcome(state="done", result={**outcome.result, "reference": reference})


def _model(step: Step) -> str:
    return step.part


def version_of(reference: str, register_key: str | None, context: Context) -> ModelVersion:
    """The version that a service or a batch uses. Raises ModelRefused for one that missed its acceptance."""
    if register_key is not None:
        result = context.state.result(register_key)
        if result is None:
            raise TargetError(f"model {reference} has not been registered", hint="run again")
        reference = f"{reference.partition('@')[0]}@{result['version']}"
    version = model_registry(context.state).find(reference)
    require_accepted(version)
    return version


def model_reference(step: Step, context: Context) -> str:
    """Where pods pull the model of a batch from, by digest; it is there afterwards."""
    work = step.work
    assert isinstance(work, Score)  # noqa: S101 - the caller has looked
    return pushed(version_of(work.model, work.register_key, context), context)


def pushed(version: ModelVersion, context: Context) -> str:
    """Have a version in the cluster's registry; gives its reference by digest, as pods reach it."""
    with context.images.repository(f"models/{version.name}") as repository:
        push_model(model_registry(context.state), version, repository)
    return context.images.for_pods(f"models/{version.name}", version.digest)
