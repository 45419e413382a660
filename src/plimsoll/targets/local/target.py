"""This machine as a target of the engine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from plimsoll import __version__
from plimsoll.errors import PlimsollError
from plimsoll.evidence.observation import Observation
from plimsoll.planning.facts import Facts
from plimsoll.planning.steps import Register, Serve, Step
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.base import Handle
from plimsoll.targets.local.attempt import Attempt, Context, Outcome, Progress, failed
from plimsoll.targets.local.limits import sweep
from plimsoll.targets.local.models import model_registry
from plimsoll.targets.local.servers import running_services, withdraw
from plimsoll.targets.local.sweep import end_leftovers
from plimsoll.targets.local.versions import installed_version
from plimsoll.targets.local.warden import Warden
from plimsoll.targets.local.work import WORK

PROVIDERS = {
    "gang": "a process group started together",
    "serving": "plimsoll's ONNX Runtime server",
    "models": "an OCI image layout on disk",
    "metrics": "a /metrics page and the report",
}


class LocalTarget:
    """Runs steps as processes below a warden; results stay in the application's state directory."""

    def __init__(self, directory: Path, run: str, *, watch: bool = False, state: StateDirectory | None = None) -> None:
        state = state or StateDirectory(directory)
        self.state = state
        self.context = Context(
            directory=directory,
            state=state,
            warden=Warden(),
            run=run,
            logs=state.runs / run / "logs",
            watch=watch,
        )
        self._attempts: dict[tuple[str, int], Attempt] = {}

    def facts(self) -> Facts:
        """Processors, memory and accelerators that this process may use, and the versions that results depend on."""
        return local_facts()

    def begin(self) -> int:
        """Start the warden, and end and remove what a killed run left. Only for the holder of the lock."""
        self.context.warden.start()
        return self.clean_up()

    def clean_up(self) -> int:
        """End and remove what a killed run left; gives the number of processes. Only for the holder of the lock."""
        killed = end_leftovers(self.state.work)
        for path in self.state.work.iterdir():
            sweep(path.name[:16])
        self.state.clear_work()
        for path in self.state.services.glob("*.json"):
            withdraw(self.state, path.stem)
        return killed

    def result(self, step: Step) -> Mapping[str, Any] | None:
        """The result of a step, if it is there and still what it was."""
        if isinstance(step.work, Serve) and self.context.watch:
            return None
        return finished(self.state, step)

    def start(self, step: Step, attempt: int) -> Handle:
        """Make room for an attempt. The work itself goes on while it is observed."""
        self.state.fresh_work(step.key)
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

    def _outcome(self, attempt: Attempt) -> Progress:
        try:
            outcome = yield from WORK[type(attempt.step.work)](attempt)
            if outcome.state == "done" and not attempt.stopped:
                self.state.commit(attempt.step.key, outcome.result)
        except PlimsollError as error:
            outcome = failed(str(error), lasting=error.lasting)
        except OSError as error:
            outcome = failed(f"{error.filename or attempt.directory}: {error.strerror or error}")
        if attempt.stopped:
            return Outcome(state="stopped", reason="stopped")
        if outcome.state == "failed":
            shutil.rmtree(attempt.directory, ignore_errors=True)
        return outcome

    def stop(self, handle: Handle) -> None:
        """Ask an attempt to end; its processes are killed within seconds."""
        attempt = self._attempts.get((handle.step.name, handle.attempt))
        if attempt:
            attempt.stop()

    def fallen(self) -> Iterator[tuple[str, str]]:
        """Services whose server has died, each once."""
        for name, server in list(self.context.kept.items()):
            if not server.ends.empty():
                withdraw(self.state, name)
                del self.context.kept[name]
                yield name, server.ends.get().words()

    def up(self) -> Mapping[str, str]:
        """Addresses of the services that are up."""
        return {name: service.url for name, service in running_services(self.state).items()}

    def close(self) -> None:
        """Drain the services that are up, then end everything."""
        for name, server in self.context.kept.items():
            withdraw(self.state, name)
            server.stop()
        self.context.kept.clear()
        self.context.warden.close()


def local_facts() -> Facts:
    """What this machine has: processors that this process may use, memory in bytes, accelerators by device file."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Facts(
        target="local",
        cpu=float(len(os.sched_getaffinity(0))),
        memory=memory,
        accelerators=len(list(Path("/dev").glob("nvidia[0-9]*"))),
        providers=PROVIDERS,
        versions={"plimsoll": __version__, "onnxruntime": installed_version("onnxruntime")},
    )


def finished(state: StateDirectory, step: Step) -> Mapping[str, Any] | None:
    """The result of a step that need not run again."""
    result = state.result(step.key)
    if result is None:
        return None
    if "python" in result and not Path(result["python"]).exists():
        return None
    if isinstance(step.work, Register) and not _is_registered(state, step.work.model, result):
        return None
    if isinstance(step.work, Serve):
        return {**result, "url": None}
    return result


def _is_registered(state: StateDirectory, model: str, result: Mapping[str, Any]) -> bool:
    try:
        return bool(model_registry(state).find(f"{model}@{result['version']}").digest == result["digest"])
    except PlimsollError:
        return False
