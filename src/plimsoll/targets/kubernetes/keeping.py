"""What trainings and batches leave, on this machine too: for the report, for signing, and for people."""

from __future__ import annotations

from plimsoll.planning.steps import AnyStep
from plimsoll.targets.kubernetes.attempt import ClusterContext


def keep_here(step: AnyStep, context: ClusterContext) -> None:
    """Fetch the files of a finished step, if its work has them kept here and their rows may leave the cluster.

    Of a training on rows that stay, the model and the figures come, and no file that may hold rows.
    """
    if not step.work.kept_here or (step.stays and not step.work.leaves):
        return
    context.results.fetch(step.key, step.work.result, context.state, tables=not step.stays)
