"""A cluster for the time of one run: steps as workloads, results in the cluster's registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from msgspec.structs import replace

from plimsoll.errors import TargetError
from plimsoll.kinds.brought import Bring
from plimsoll.kinds.environment import MakeEnvironment
from plimsoll.kinds.failover import FailOver
from plimsoll.kinds.index_release import ReleaseIndex
from plimsoll.kinds.llm import PrepareLlm
from plimsoll.kinds.register import Register, RegisterResult
from plimsoll.kinds.serve import Serve
from plimsoll.planning.steps import AnyStep, Step, Work
from plimsoll.state.results import Result
from plimsoll.targets.kubernetes.attempt import ClusterAttempt, ClusterContext
from plimsoll.targets.kubernetes.holders import user_at_host
from plimsoll.targets.kubernetes.keeping import keep_here
from plimsoll.targets.kubernetes.namespace import prepare_namespace
from plimsoll.targets.kubernetes.run_lease import run_lease
from plimsoll.targets.kubernetes.trust import unite
from plimsoll.targets.kubernetes.work import EXECUTORS
from plimsoll.targets.kubernetes.work.failover import fails_over
from plimsoll.targets.kubernetes.work.joining import joining
from plimsoll.targets.kubernetes.work.serve import is_up
from plimsoll.targets.port import RunRequest


class KubernetesSession:
    """Runs steps as workloads of a cluster; results are in its registry, the run's journal on this machine."""

    def __init__(self, context: ClusterContext) -> None:
        self.context = context

    def begin(self, request: RunRequest | None = None) -> int:
        """Make the namespace and what all steps share; what a killed run left on the cluster is gone on with.

        With a request the application's lease is taken, or the run that holds it is joined.
        """
        context = self.context
        prepare_namespace(context)
        if request is None:
            self._unite()
        else:
            lease = run_lease(context.api, context.application, context.namespace, context.state, context.run, request)
            # Attempts and those of their parts look at the context's.
            self.context = replace(context, lease=lease, forced=request.forced)
            lease.begin(request.stopped, self._unite)
        return context.local.begin(request)

    def joined(self) -> str:
        """Whose run of the same content this one watches."""
        return self.context.lease.joined

    def steps_ended(self) -> None:
        """Let others run the application: services go on by themselves."""
        self.context.lease.end()

    def result(self, step: AnyStep) -> Result | None:
        """The result of a step, if it is there and still what it was."""
        context, work = self.context, step.work
        if isinstance(work, (MakeEnvironment, Bring, PrepareLlm)):
            return context.state.result(step.key, work.result)
        if isinstance(work, (Register, ReleaseIndex)):
            here = context.local.result(step)
            # One without a reference is of a run that ended before the model was where pods pull it.
            return here if isinstance(here, RegisterResult) and here.reference else None
        if isinstance(work, Serve):
            known = context.state.result(step.key, work.result)
            return known if known and is_up(cast("Step[Serve]", step), context) else None
        if isinstance(work, FailOver):
            return fails_over(cast("Step[FailOver]", step), context)
        return context.results.result(step.key, work.result)

    def fetch(self, step: AnyStep) -> None:
        """Have what trainings and batches left on this machine too, for the report and for people."""
        keep_here(step, self.context)

    def start(self, step: AnyStep, attempt: int) -> ClusterAttempt[Work]:
        """An attempt; its workload begins when it is iterated."""
        execute = EXECUTORS.get(type(step.work))
        if execute is None:
            raise TargetError(f"clusters do not carry out '{step.verb}' steps", where=step.name, lasting=True)
        if step.name in self.context.forced and attempt == 1:
            # The files of before would be taken for those that come.
            self.context.state.forget(step.key)
        return ClusterAttempt(step, attempt, self.context, joining(execute))

    def fallen(self) -> Iterator[tuple[str, str]]:
        """None: the cluster itself starts servers again that have died."""
        return iter(())

    def close(self) -> None:
        """End what ran on this machine, and let go of the application. What serves goes on serving."""
        self.context.lease.end()
        self.context.local.close()

    def _unite(self) -> None:
        context = self.context
        unite(context.api, context.application, context.namespace, user_at_host(context.api.target))
