"""The replicas of a language model: where each answers, which are up, and which of them a request is for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

from msgspec.structs import replace

from plimsoll.llms.engines import ENDPOINT
from plimsoll.llms.exchange import BesideUpstream
from plimsoll.llms.routing import Chosen, Router
from plimsoll.llms.settings import EndpointSettings, LlmSettings
from plimsoll.llms.upstream import Upstream
from plimsoll.runtime.server.llms.process import EngineProcess
from plimsoll.runtime.server.service_file import ModelFile


class Replicas:
    """Processes of an engine, or one endpoint. All are up when this is made."""

    def __init__(self, file: ModelFile, settings: LlmSettings, threads: int) -> None:
        """`threads` and the memory of `settings` are for all together. Raises PlimsollError when one does not come up.

        They are started one after another: each reads the whole model, and all of them at once would take no less.
        """
        self._processes: list[EngineProcess] = []
        self._upstreams: list[Upstream] = []
        if settings.endpoint is not None:
            self._upstreams.append(_elsewhere(settings.endpoint, own=settings.engine != ENDPOINT))
        else:
            self._start(file, settings, threads)
            self._upstreams += [each.upstream for each in self._processes]
        self._router = Router(len(self), settings.routing)
        self._starts = [each.starts for each in self._processes]

    def __len__(self) -> int:
        return len(self._upstreams)

    @property
    def processes(self) -> Sequence[EngineProcess]:
        """Their processes; none for an endpoint."""
        return self._processes

    @property
    def problem(self) -> str:
        """Why none of them can answer at present."""
        problems = [each.problem for each in self._processes]
        return problems[0] if problems and all(problems) else ""

    @property
    def looks_at_beginnings(self) -> bool:
        """Whether it matters how a request begins."""
        return self._router.looks_at_beginnings

    def upstream(self, replica: int) -> Upstream:
        """Where it answers."""
        return self._upstreams[replica]

    def is_up(self, replica: int) -> bool:
        """Whether it can be asked now."""
        return not self._processes or not self._processes[replica].problem

    def choose(self, blocks: Sequence[int], loads: Sequence[int], tried: Collection[int] = ()) -> Chosen:
        """The replica for a request with these first blocks; one of `tried` only where there is no other."""
        self._forget_ended()
        untried = [each for each in range(len(self)) if each not in tried] or list(range(len(self)))
        up = [each for each in untried if self.is_up(each)]
        return self._router.choose(blocks, loads, up or untried)

    def began(self, blocks: Sequence[int], replica: int) -> None:
        """Another one than the chosen one answers."""
        self._router.began(blocks, replica)

    def report_restarts(self, report: Callable[[], None]) -> None:
        """Have `report` called whenever one is started again."""
        for each in self._processes:
            each.report_restarts(report)

    def close(self) -> None:
        """Have them end."""
        _close(self._processes)

    def wait(self) -> None:
        """Wait until they have ended."""
        for each in self._processes:
            each.wait()

    @property
    def closing(self) -> Callable[[], None]:
        """`close`, without a reference to this."""
        return partial(_close, self._processes)

    def _start(self, file: ModelFile, settings: LlmSettings, threads: int) -> None:
        count = settings.replicas
        memory = settings.memory // count if settings.memory is not None else None
        try:
            for _ in range(count):
                self._processes.append(EngineProcess(file, replace(settings, memory=memory), max(1, threads // count)))
        except BaseException:  # also at Ctrl-C those that are up do not stay
            self.close()
            self.wait()
            raise

    def _forget_ended(self) -> None:
        """What was started again since the last look has read nothing yet."""
        for number, process in enumerate(self._processes):
            if self._starts[number] != process.starts:
                self._starts[number] = process.starts
                self._router.forget(number)


def _close(processes: Sequence[EngineProcess]) -> None:
    for each in processes:
        each.close()


def _elsewhere(settings: EndpointSettings, *, own: bool) -> Upstream:
    if own:
        return BesideUpstream(settings.url)
    # Its client of HTTP costs each start a tenth of a second, and few services have an endpoint.
    from plimsoll.llms.endpoint import EndpointUpstream

    return EndpointUpstream(settings)
