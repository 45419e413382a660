"""A cluster as a target of the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from plimsoll.errors import PlimsollError
from plimsoll.evidence.observation import Observation
from plimsoll.planning.facts import Facts
from plimsoll.planning.steps import MakeEnvironment, Register, Serve, Step
from plimsoll.targets.base import Handle
from plimsoll.targets.kubernetes.context import Attempt, Context
from plimsoll.targets.kubernetes.work import WORK
from plimsoll.targets.kubernetes.work.serve import is_up
from plimsoll.targets.local.attempt import Outcome, failed


class KubernetesTarget:
    """Runs steps as workloads of a cluster; results lie in its registry, the run's journal on this machine."""

    def __init__(self, context: Context, facts: Facts) -> None:
        self.context = context
        self._facts = facts
        self._attempts: dict[tuple[str, int], Attempt] = {}

    def facts(self) -> Facts:
        """What the cluster has, as it was seen when the run began."""
        return self._facts

    def begin(self) -> int:
        """Make the namespace and what all steps share; what a killed run left on the cluster is gone on with."""
        from plimsoll.targets.kubernetes.housekeeping import furnish

        furnish(self.context)
        self.context.local.context.warden.start()
        return self.context.local.clean_up()

    def result(self, step: Step) -> Mapping[str, Any] | None:
        """The result of a step, if it is there and still what it was."""
        if isinstance(step.work, MakeEnvironment):
            return self.context.state.result(step.key)
        if isinstance(step.work, Register):
            return self.context.local.result(step)
        if isinstance(step.work, Serve):
            context, known = self.context, self.context.state.result(step.key)
            up = known and is_up(context.api, context.application, context.namespace, step.key, step.work.service)
            return known if up else None
        found = self.context.results.find(step.key)
        if found is None:
            return None
        if step.verb in ("train", "score"):
            told = {key: value for key, value in found.items() if key != "image"}
            self.context.results.bring(step, self.context.state, told)
        return found

    def start(self, step: Step, attempt: int) -> Handle:
        """Make room for an attempt. The work itself begins when it is observed."""
        self._attempts[step.name, attempt] = Attempt(step, attempt, self.context)
        return Handle(step=step, attempt=attempt)

    def observe(self, handle: Handle) -> Iterator[Observation]:
        """Carry the attempt out and tell of it."""
        attempt = self._attempts[handle.step.name, handle.attempt]
        outcome = yield from self._outcome(attempt)
        del self._attempts[handle.step.name, handle.attempt]
        yield attempt.seen(
            "attempt-ended",
            outcome=outcome.state,
            reason=outcome.reason,
            result=outcome.result,
            lasting=outcome.lasting,
        )

    def _outcome(self, attempt: Attempt) -> Any:
        try:
            outcome = yield from WORK[type(attempt.step.work)](attempt)
        except PlimsollError as error:
            outcome = failed(str(error), lasting=error.lasting)
        except OSError as error:
            outcome = failed(f"{error.filename or self.context.state.root}: {error.strerror or error}")
        if attempt.stopping.is_set() and outcome.state != "done":
            return Outcome(state="stopped", reason="stopped")
        if outcome.state == "done" and isinstance(attempt.step.work, Serve):
            self.context.state.fresh_work(attempt.step.key)
            self.context.state.commit(attempt.step.key, outcome.result)
        return outcome

    def stop(self, handle: Handle) -> None:
        """Ask an attempt to end; its workload is deleted."""
        attempt = self._attempts.get((handle.step.name, handle.attempt))
        if attempt:
            attempt.stopping.set()

    def fallen(self) -> Iterator[tuple[str, str]]:
        """None: the cluster itself starts servers again that have died."""
        return iter(())

    def up(self) -> Mapping[str, str]:
        """Addresses of services inside the cluster, by name."""
        from plimsoll.targets.kubernetes.housekeeping import services

        return services(self.context.api, self.context.application, self.context.namespace)

    def close(self) -> None:
        """Let go of connections. What serves goes on serving."""
        self.context.local.close()
