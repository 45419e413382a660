"""Scores a batch row by row in a separate process, which resumes where the last attempt stopped."""

from __future__ import annotations

import sys

from plimsoll.kinds.batch import Score, ScoreResult
from plimsoll.runtime.figures import read_figures
from plimsoll.runtime.model_digests import digest_options
from plimsoll.runtime.outputs import files_in
from plimsoll.targets.attempt import Progress, done, failed
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.commands import base_environment, input_path
from plimsoll.targets.local.isolation import kept_apart
from plimsoll.targets.local.workers import Command, run_together
from plimsoll.targets.models import digests_of, onnx_name, require_scorable, version_for_use


def score(attempt: LocalAttempt[Score]) -> Progress:
    """Score the file with the verified model."""
    work = attempt.work
    state = attempt.context.state
    version, files = version_for_use(state, work.model, work.register_key)
    require_scorable(version)
    model = files[onnx_name(version)]
    attempt.checkpoints.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "plimsoll.runtime.scorer", "--model", str(model)]
    argv += ["--input", str(input_path(work.input, state)), "--output", str(attempt.output)]
    argv += ["--checkpoint", str(attempt.checkpoints), *digest_options(digests_of(version, model)), *work.options]
    environment = {**base_environment(None), "PLIMSOLL_OUTPUT": str(attempt.output)}
    command = Command(argv=argv, environment=environment, resources=attempt.step.resources)
    with kept_apart(attempt, environment, [model.parent, input_path(work.input, state)]) as apart:
        reason = yield from run_together(attempt, [command], apart=apart)
    if reason:
        return failed(reason)
    metrics = read_figures(attempt.output).metrics
    return done(
        ScoreResult(
            model=version.reference,
            outputs=files_in(attempt.output),
            metrics=metrics,
            rows=int(metrics.get("rows", 0)),
            seconds=metrics.get("seconds", 0.0),
        )
    )
