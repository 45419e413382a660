"""The Python environment of a requirements file: a layer of the images that steps run in."""

from __future__ import annotations

from plimsoll.kinds.environment import EnvironmentResult, MakeEnvironment
from plimsoll.targets.attempt import Progress, done
from plimsoll.targets.kubernetes.attempt import ClusterAttempt


def make_environment(attempt: ClusterAttempt[MakeEnvironment]) -> Progress:
    """Find or make the layer here. It is pushed to the registry with the first image that has it."""
    yield from ()
    step, context = attempt.step, attempt.context
    layer = context.images.of_environment(attempt.work.requirements, step.ingredients[0].digest)
    result = EnvironmentResult(layer=layer)
    context.state.fresh_work(step.key)
    context.state.commit(step.key, result)
    return done(result)
