"""The Python environment of a requirements file: a layer of the images that steps run in."""

from __future__ import annotations

from plimsoll.planning.steps import MakeEnvironment
from plimsoll.targets.kubernetes.context import Attempt, Progress
from plimsoll.targets.local.attempt import Outcome


def make_environment(attempt: Attempt) -> Progress:
    """Find or make the layer here. It travels to the registry with the first image that has it."""
    yield from ()
    work = attempt.step.work
    assert isinstance(work, MakeEnvironment)  # noqa: S101 - the table of work says so
    layer = attempt.context.images.of_environment(work.requirements, attempt.step.ingredients[0].digest)
    result: dict[str, object] = {"layer": layer, "outputs": []}
    attempt.context.state.fresh_work(attempt.step.key)
    attempt.context.state.commit(attempt.step.key, result)
    return Outcome(state="done", result=result)
