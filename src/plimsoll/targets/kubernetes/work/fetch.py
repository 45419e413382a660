"""A source: what lies on this machine is brought to the cluster's registry, what lies elsewhere is fetched by a pod."""

from __future__ import annotations

from pathlib import Path

from plimsoll.planning.steps import Fetch
from plimsoll.targets.kubernetes.context import Attempt, Progress
from plimsoll.targets.kubernetes.work.local import done_here
from plimsoll.targets.kubernetes.work.pods import run_in_pods
from plimsoll.targets.local.attempt import Outcome


def fetch(attempt: Attempt) -> Progress:
    """Have the source where pods find it."""
    work = attempt.step.work
    assert isinstance(work, Fetch)  # noqa: S101 - the table of work says so
    if "://" in work.source:
        return (yield from run_in_pods(attempt))
    outcome = yield from done_here(attempt)
    if outcome.state != "done":
        return outcome
    path = Path(str(outcome.result["path"]))
    facts = {"outputs": [], "sha256": outcome.result["sha256"], "source": work.source}
    attempt.context.results.put(attempt.step.key, path, facts)
    return Outcome(state="done", result=facts)
