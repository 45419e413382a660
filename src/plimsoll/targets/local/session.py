"""This machine during one run: a warden, its attempts, and results in the application's state directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from msgspec.structs import replace

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.kinds.dataset import Fetch, FetchResult
from plimsoll.kinds.environment import EnvironmentResult, MakeEnvironment
from plimsoll.kinds.index_release import ReleaseIndex
from plimsoll.kinds.register import Register, RegisterResult
from plimsoll.kinds.serve import Serve, ServeResult
from plimsoll.planning.steps import AnyStep, Step, Work
from plimsoll.state.directory import StateDirectory
from plimsoll.state.results import Result
from plimsoll.targets.local.attempt import LocalAttempt, LocalContext
from plimsoll.targets.local.environment_uses import is_kept_for
from plimsoll.targets.local.environments import environment_place, is_complete, python_of
from plimsoll.targets.local.leftover_processes import kill_leftover_processes
from plimsoll.targets.local.limits import remove_leftover_groups
from plimsoll.targets.local.servers import KEEPER, running_services, withdraw
from plimsoll.targets.local.warden import Warden
from plimsoll.targets.local.work import EXECUTORS
from plimsoll.targets.models import model_registry
from plimsoll.targets.port import RunRequest


class LocalSession:
    """Runs steps as processes of a warden and stores results in the application's state directory."""

    def __init__(self, directory: Path, run: str, *, watch: bool = False, state: StateDirectory | None = None) -> None:
        self.state = state or StateDirectory(directory)
        self.context = LocalContext(
            directory=directory,
            state=self.state,
            warden=Warden(),
            run=run,
            logs=self.state.logs(run),
            watch=watch,
        )

    def begin(self, request: RunRequest | None = None) -> int:
        """Start the warden, and clean up after a killed run. Only the holder of the lock may call it."""
        if request is not None:
            self.context = replace(self.context, forced=request.forced)
        self.context.warden.start()
        return self.clean_up()

    def joined(self) -> str:
        """Nobody else's: the lock of the directory admits one run."""
        return ""

    def steps_ended(self) -> None:
        """Do nothing: services that are watched need the lock."""

    def clean_up(self) -> int:
        """Kill the processes and delete the files of a killed run; returns the number of processes.

        Only the holder of the lock may call it.
        """
        killed = kill_leftover_processes(self.state.work)
        for path in self.state.work.iterdir():
            if not path.is_symlink():
                remove_leftover_groups(path.name[:16])
        self.state.clear_work()
        kept = {name for name, up in running_services(self.state).items() if up.run == KEEPER}
        for path in self.state.services.glob("*.json"):
            if path.stem not in kept:
                withdraw(self.state, path.stem)
        return killed

    def result(self, step: AnyStep) -> Result | None:
        """The result of a step, if it still exists unchanged. A watched service is always started."""
        if isinstance(step.work, Serve) and self.context.watch:
            return None
        return stored_result(self.state, step, self.context.directory)

    def fetch(self, step: AnyStep) -> None:
        """Do nothing: the files are on this machine."""

    def start(self, step: AnyStep, attempt: int) -> LocalAttempt[Work]:
        """Create an attempt with its own empty directory."""
        execute = EXECUTORS.get(type(step.work))
        if execute is None:
            message = f"this machine does not support '{step.verb}' steps"
            raise TargetError(message, where=step.name, hint="use another target", lasting=True)
        self.state.fresh_work(step.key)
        if step.name in self.context.forced and attempt == 1:
            self.state.forget_attempts(step.key)
        return LocalAttempt(step, attempt, self.context, execute)

    def fallen(self) -> Iterator[tuple[str, str]]:
        """Services whose server has died; each is reported once."""
        for name, server in list(self.context.kept.items()):
            if not server.ends.empty():
                withdraw(self.state, name)
                del self.context.kept[name]
                yield name, server.ends.get().description()

    def close(self) -> None:
        """Drain the running services, then stop everything."""
        for name, server in self.context.kept.items():
            withdraw(self.state, name)
            server.stop()
        self.context.kept.clear()
        self.context.sandboxes.close()
        self.context.warden.close()


def stored_result(state: StateDirectory, step: AnyStep, directory: Path) -> Result | None:
    """The result of a step that need not run again; None when its environment, source or model version is missing.

    `directory` is the application's, which may have been moved or copied since.
    """
    result = state.result(step.key, step.work.result)
    match result:
        case EnvironmentResult() if isinstance(step.work, MakeEnvironment):
            place = environment_place(cast("Step[MakeEnvironment]", step), directory)
            named = result.python == str(python_of(place))
            return result if named and is_kept_for(place, state, step.key, is_complete) else None
        case FetchResult() if isinstance(step.work, Fetch):
            return result if result.source == step.work.in_place else None
        case RegisterResult() if isinstance(step.work, Register | ReleaseIndex):
            return result if _is_registered(state, step.work.model, result) else None
        case ServeResult():
            return replace(result, url=None)
    return result


def _is_registered(state: StateDirectory, model: str, result: RegisterResult) -> bool:
    try:
        return bool(model_registry(state).find(f"{model}@{result.version}").digest == result.digest)
    except PlimsollError:
        return False
