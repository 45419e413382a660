"""This machine as a target."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll import __version__
from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import FileError, TargetError
from plimsoll.kinds.assistant import ASKS_SERVICES
from plimsoll.kinds.serve import CLUSTER_CALLERS, engine_feature
from plimsoll.llms.engines import ENGINES
from plimsoll.planning.facts import IsolationFacts, TargetFacts
from plimsoll.runtime.isolation.bubblewrap import NAME, sandboxing
from plimsoll.state.directory import LOCAL, StateDirectory
from plimsoll.targets.extras import missing_extras
from plimsoll.targets.features import (
    CALL,
    CONTAINER_IMAGES,
    CURVES,
    EXCHANGE,
    KEEP,
    LEAVINGS,
    MANIFESTS,
    PLAN_CHECK,
    RIGHTS,
    SCHEDULE,
    TRAFFIC,
    USES,
    CalledService,
    Features,
    VersionUse,
    feature_table,
    offers,
)
from plimsoll.targets.local.environment_uses import Environments
from plimsoll.targets.local.servers import running_services
from plimsoll.targets.local.session import LocalSession
from plimsoll.targets.local.uses import version_uses
from plimsoll.targets.local.watching import read_drift
from plimsoll.targets.local.work import EXECUTORS
from plimsoll.targets.options import CLUSTER_ONLY, TargetOptions
from plimsoll.targets.versions import installed_version
from plimsoll.telemetry.drift.state import DriftState

if TYPE_CHECKING:
    from plimsoll.planning.capacity import Shortfall
    from plimsoll.planning.steps import AnyStep, Plan
    from plimsoll.targets.local.traffic import LocalTraffic
    from plimsoll.targets.port import Session

PROVIDERS = {
    "gang": "a process group started together",
    "serving": "plimsoll's ONNX Runtime server",
    "models": "an OCI image layout on disk",
    "metrics": "a /metrics page and the report",
}
LACKS = {
    CONTAINER_IMAGES: "it runs commands as processes, without containers",
    MANIFESTS.name: "it has no Kubernetes objects",
    RIGHTS.name: "there are none to grant",
    SCHEDULE.name: "cron does, see docs/running.md",
    ASKS_SERVICES: "a service there has all that it answers by",
    CLUSTER_CALLERS: "no cluster is there to ask",
    **{engine_feature(name): "it runs in containers of its own" for name, engine in ENGINES.items() if not engine.here},
}


def _isolation() -> IsolationFacts:
    found = sandboxing()
    return IsolationFacts(by=NAME if found.program else "", problem=found.problem, remedy=found.remedy)


class LocalTarget:
    """One application's directory on this machine."""

    name = LOCAL

    def __init__(self, directory: Path, options: TargetOptions | None = None) -> None:
        if not sys.platform.startswith("linux"):
            raise TargetError(
                f"the local target needs Linux, and this is {sys.platform}", hint="run on a Linux machine or VM"
            )
        options = options or TargetOptions()
        if named := next((name for name in CLUSTER_ONLY if getattr(options, name)), None):
            raise FileError(
                f"--{named} is only for a cluster",
                where=f"--{named}",
                hint="leave it out, or name a context with --target",
            )
        self._directory = directory
        self.state = StateDirectory(directory)

    @property
    def features(self) -> Features:
        """Calls of services, moves of their traffic, a keeper, what they use, leavings, environments, curves."""
        from plimsoll.targets.local.exchange import LocalExchange
        from plimsoll.targets.local.keeper.control import LocalKeeper
        from plimsoll.targets.local.vector_places import Leavings, VectorPlaces

        carriers = feature_table(
            offers(EXCHANGE, LocalExchange(self.state, self._directory)),
            offers(CALL, self._call),
            offers(TRAFFIC, self._traffic),
            offers(KEEP, LocalKeeper(self.state)),
            offers(USES, self._uses),
            offers(PLAN_CHECK, self._problems),
            offers(LEAVINGS, Leavings(Environments(self.state), VectorPlaces(self.state))),
            offers(CURVES, self._curve),
        )
        return Features("this machine", carriers, LACKS)

    def facts(self) -> TargetFacts:
        """Processors that this process may use, memory in bytes, accelerators by device file."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return TargetFacts(
            target=LOCAL,
            cpu=float(len(os.sched_getaffinity(0))),
            memory=memory,
            accelerators=len(list(Path("/dev").glob("nvidia[0-9]*"))),
            providers=PROVIDERS,
            versions={"plimsoll": __version__, "onnxruntime": installed_version("onnxruntime")},
            lacks=LACKS,
            verbs=frozenset(work.verb for work in EXECUTORS),
            missing_extras=missing_extras(),
            isolation=_isolation(),
        )

    def _problems(self, plan: Plan) -> Sequence[Shortfall]:
        from plimsoll.targets.local.seen import path_problems
        from plimsoll.targets.local.vector_places import store_problems

        return [*path_problems(plan, self._directory), *store_problems(plan)]

    def _call(self, file: ApplicationFile, service: str) -> contextlib.AbstractContextManager[CalledService]:
        from plimsoll.targets.local.calling import open_local_service

        return open_local_service(self.state, file, service)

    def _curve(self, session: Session, step: AnyStep, series: str) -> Sequence[tuple[float, float]]:
        from plimsoll.targets.local.curves import read_series

        return read_series(self.state, step.key, series)

    def _traffic(
        self, model: str | None, service: str | None, say: Callable[[str], None], stopped: Callable[[], bool]
    ) -> LocalTraffic:
        from plimsoll.targets.local.traffic import find_local_traffic

        return find_local_traffic(self.state, model, service, stopped)

    def _uses(self) -> Sequence[VersionUse]:
        return version_uses(self.state)

    def open(self, run: str, *, watch: bool) -> LocalSession:
        """A session for one run."""
        return LocalSession(self._directory, run, watch=watch)

    def services(self) -> Mapping[str, str]:
        """The addresses of the running services, by name."""
        return {name: service.url for name, service in running_services(self.state).items()}

    def service_notes(self, service: str) -> Sequence[str]:
        """The versions that share its requests, and a note about a running or interrupted promotion."""
        from plimsoll.targets.local.traffic import promotion_notes, share_notes

        return (*promotion_notes(self.state, service), *share_notes(self.state, service))

    def waits(self) -> Sequence[str]:
        """None: what runs here is of a run, whose journal says what it waits for."""
        return ()

    def run_note(self) -> str:
        """Nobody else's: the lock of the directory admits one run."""
        return ""

    def drift(self, service: str) -> Sequence[DriftState]:
        """The drift of a service's versions."""
        return read_drift(self.state, service)

    def problems(self) -> Mapping[str, str]:
        """Services that the keeper should keep up and does not; of those of a run the warden tells."""
        from plimsoll.targets.local.keeper.control import LocalKeeper

        return LocalKeeper(self.state).problems()

    def remove(
        self,
        say: Callable[[str], None] = lambda _: None,
        *,
        force: bool = False,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> list[str]:
        """Delete nothing: a local service ends with its run or with its keeper."""
        return []

    def close(self) -> None:
        """Do nothing: there are no connections."""
