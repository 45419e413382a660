"""A source: what this machine reads is pushed to the cluster's registry, an address is fetched by a pod."""

from __future__ import annotations

from plimsoll.kinds.dataset import Fetch, FetchResult
from plimsoll.targets.attempt import Progress, done
from plimsoll.targets.kubernetes.attempt import ClusterAttempt
from plimsoll.targets.kubernetes.work.local import done_here
from plimsoll.targets.kubernetes.work.pods import run_in_pods


def fetch(attempt: ClusterAttempt[Fetch]) -> Progress:
    """Have the source where pods find it."""
    work = attempt.work
    if "://" in work.source:
        return (yield from run_in_pods(attempt))
    outcome = yield from done_here(attempt)
    if not isinstance(outcome.result, FetchResult):
        return outcome
    if work.in_place is None:
        (file,) = outcome.result.outputs
        path = attempt.context.state.output(attempt.step.key) / file.name
        attempt.context.results.put(attempt.step.key, path, outcome.result)
        return outcome
    result = FetchResult(sha256=outcome.result.sha256, source=work.source)
    attempt.context.results.put(attempt.step.key, (attempt.context.directory / work.source).resolve(), result)
    return done(result)
