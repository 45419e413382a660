"""Runs a command that turns inputs into outputs."""

from __future__ import annotations

from plimsoll.kinds.dataset import CommandResult, RunCommand
from plimsoll.runtime.figures import read_figures
from plimsoll.runtime.outputs import argv_of, files_in, require_outputs, unnamed_files
from plimsoll.targets.attempt import Progress, done, failed
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.commands import (
    base_environment,
    environment_python,
    input_variables,
)
from plimsoll.targets.local.isolation import kept_apart
from plimsoll.targets.local.workers import Command, run_together


def run_command(attempt: LocalAttempt[RunCommand]) -> Progress:
    """Run the command and collect its outputs."""
    work = attempt.work
    state = attempt.context.state
    environment = {
        **base_environment(environment_python(work.environment, state)),
        **input_variables(work.inputs, state),
        **work.parameters,
        "PLIMSOLL_OUTPUT": str(attempt.output),
    }
    command = Command(argv=argv_of(work.command), environment=environment, resources=attempt.step.resources)
    with kept_apart(attempt, environment) as apart:
        reason = yield from run_together(attempt, [command], work.timeout, apart)
    if reason:
        return failed(reason)
    require_outputs(attempt.output, work.outputs)
    figures = read_figures(attempt.output)
    notes = (*figures.notes, *unnamed_files(attempt.output))
    return done(CommandResult(outputs=files_in(attempt.output), metrics=figures.metrics, notes=notes))
