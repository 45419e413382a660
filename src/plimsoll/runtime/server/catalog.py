"""The models of a server, which are loaded, replaced and unloaded while requests are answered.

A request keeps the version that was chosen for it; a version that is replaced or unloaded is freed with its last
request. All changes are made in the event loop's thread between two requests; loading has a thread of its own.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from msgspec import Struct

from plimsoll.errors import PlimsollError
from plimsoll.runtime.model import OnnxModel
from plimsoll.runtime.server.counts import Count, Records
from plimsoll.runtime.server.refusals import NotFound, NotReady
from plimsoll.runtime.server.served import Served, ServedOnnx
from plimsoll.runtime.server.service_file import Batching, ModelFile, ServiceFile, newest
from plimsoll.runtime.server.traffic import Route


class Indexed(Struct, frozen=True, kw_only=True):
    """A line of the repository's index: `state` is `READY` or `UNAVAILABLE`, with the reason."""

    name: str
    version: str
    state: str
    reason: str = ""


class Catalog:
    """Models by name and version, and which version answers."""

    def __init__(self, source: Callable[[], ServiceFile], *, threads: int = 1, changes: Path | None = None) -> None:
        """`source` returns the models to serve, and is called again at every load. It may raise PlimsollError.

        `changes` is the journal of changes of an index that is served.
        """
        self._source = source
        self._changes = changes
        self._threads = max(1, threads)
        self._pool = ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="infer")
        self._changing = asyncio.Lock()
        self._served: dict[str, dict[str, Served]] = {}
        self._routes: dict[str, Route] = {}
        self._single: dict[str, Served] = {}
        """Models of which one version gets all requests: there is nothing to choose."""
        self.has_shadows = False
        """Whether any model has a shadow: without one, no request need be asked for its copies."""
        self._reasons: dict[tuple[str, str], str] = {}
        """Why versions are not loaded."""
        self.prepare: Callable[[Served], None] = _nothing_to_prepare
        """Called in the loading thread for each version that is loaded, before its first request; set by the fronts."""
        self.unloaded: set[str] = set()
        """Models that a client has unloaded and nobody has loaded since."""
        self.records: dict[tuple[str, str], Records] = {}
        """The counts of each version, also of those that are no longer loaded: a counter never decreases."""

    # Reading.

    def choose(self, model: str, version: str | None, headers: Mapping[str, str]) -> Served:
        """The version that answers. Raises NotFound, NotReady."""
        if version is None:
            single = self._single.get(model)
            if single is not None:
                return single
        versions = self._served.get(model)
        if not versions:
            if model in self.unloaded or any(name == model for name, _ in self._reasons):
                raise NotReady(f"model '{model[:80]}' is not loaded")
            raise NotFound(f"there is no model '{model[:80]}'; this server has {_listed(self._served)}")
        if version is None:
            version = self._routes[model].choose(headers, random.random())  # noqa: S311 - shares of traffic, no secret
        if version is None:
            raise NotReady(f"no version of model '{model}' has a weight")
        if version not in versions:
            raise NotFound(f"there is no version '{version[:20]}'; model '{model}' has {_listed(versions)}")
        return versions[version]

    def shadows(self, served: Served) -> list[Served]:
        """The versions that get a copy of a request which `served` answers."""
        if served.name in self._single:
            return []
        versions = self._served.get(served.name, {})
        wanted = self._routes[served.name].shadows(served.version, random.random())  # noqa: S311 - as above
        return [versions[version] for version in wanted if version in versions]

    def versions(self, model: str) -> list[str]:
        """The versions of a model that are loaded."""
        return list(self._served.get(model, {}))

    def all(self) -> list[Served]:
        """Everything that is loaded."""
        return [served for versions in self._served.values() for served in versions.values()]

    @property
    def answering(self) -> bool:
        """Whether any version can answer, of those that are loaded; true without any."""
        served = self.all()
        return not served or any(not each.problem for each in served)

    def counts(self) -> list[Count]:
        """The counts of every version, also of those that are no longer loaded."""
        return [
            Count(model=name, version=version, loaded=version in self._served.get(name, {}), records=records)
            for (name, version), records in self.records.items()
        ]

    def index(self) -> list[Indexed]:
        """Every version that the source names, with its state. Raises PlimsollError when the source cannot be read."""
        lines = {}
        for name, version in [*((f.name, f.version) for f in self._source().models), *self._reasons]:
            served = self._served.get(name, {}).get(version)
            reason = served.problem if served else self._reasons.get((name, version), "unloaded")
            ready = served is not None and not reason
            lines[name, version] = Indexed(
                name=name, version=version, state="READY" if ready else "UNAVAILABLE", reason=reason
            )
        return list(lines.values())

    # Changing.

    async def load(self, model: str) -> None:
        """Load all versions of a model again. Raises NotFound, PlimsollError when a file cannot be served."""
        if not any(file.name == model for file in self._source().models):
            known = {file.name: None for file in self._source().models}
            raise NotFound(f"there is no model '{model[:80]}' to load; the configured models are {_listed(known)}")
        self.unloaded.discard(model)
        await self.refresh(reload=model)
        failures = [reason for (name, _), reason in self._reasons.items() if name == model]
        if failures:
            raise PlimsollError(failures[0])

    async def unload(self, model: str) -> None:
        """Unload a model; requests to it that have begun are answered. Raises NotFound, PlimsollError."""
        if model not in self._served and model not in self.unloaded:
            raise NotFound(f"there is no model '{model[:80]}'; this server has {_listed(self._served)}")
        self.unloaded.add(model)
        await self.refresh()

    async def refresh(self, reload: str | None = None) -> None:
        """Serve what the source names now. A version that has not changed stays loaded, unless `reload` is its model.

        A version that cannot be loaded is left out with its reason; a loaded one of the same number stays. Raises
        PlimsollError when the source cannot be read.
        """
        async with self._changing:
            content = self._source()
            files = {(f.name, f.version): f for f in content.models if f.name not in self.unloaded}
            loaded: dict[tuple[str, str], Served] = {}
            reasons: dict[tuple[str, str], str] = {}
            for key, file in files.items():
                present = self._served.get(file.name, {}).get(file.version)
                batching = content.batching.get(file.name, Batching())
                if present is not None and file.name != reload and _same(present, file, batching):
                    loaded[key] = present
                    continue
                try:
                    loaded[key] = await asyncio.to_thread(self._load_version, file, batching)
                except PlimsollError as error:
                    reasons[key] = error.on_one_line()
                    if present is not None:
                        loaded[key] = present
            self._replace(content, loaded, reasons)
            self.attach()

    def attach(self) -> None:
        """Have the versions watch over their processes; called in the event loop."""
        for served in self.all():
            served.attach()

    def close(self) -> None:
        """End the processes of all versions."""
        for served in self.all():
            served.close()

    def load_first(self) -> None:
        """Load everything before the first request. Raises PlimsollError for the first that cannot be served."""
        content = self._source()
        loaded = {}
        for file in [file for file in content.models if file.name not in self.unloaded]:
            loaded[file.name, file.version] = self._load_version(file, content.batching.get(file.name, Batching()))
        self._replace(content, loaded, {})

    def _load_version(self, file: ModelFile, batching: Batching) -> Served:
        """Raises PlimsollError."""
        records = self.records.setdefault((file.name, file.version), Records())
        plain = not (file.code or file.steps or file.llm or file.index or file.assistant)
        served = None if plain else self._without_tensors(file, records, batching)
        if served is None:
            model = OnnxModel(Path(file.path), file.name, threads=self._threads, digest=file.digest, files=file.files)
            served = ServedOnnx(model, file.version, records, pool=self._pool, threads=self._threads, batching=batching)
        self.prepare(served)
        return served

    def _without_tensors(self, file: ModelFile, records: Records, batching: Batching) -> Served:
        """What is no ONNX model by itself: an index, a language model, or the user's own code."""
        # What searches, and what starts and watches processes, is loaded only where there is some.
        if file.index:
            from plimsoll.runtime.server.retrieval.served import ServedIndex

            return ServedIndex(file, records, batching, pool=self._pool, threads=self._threads, changes=self._changes)
        if file.assistant is not None:
            from plimsoll.runtime.server.assistants.served import ServedAssistant

            find = partial(self.choose, version=None, headers={})
            return ServedAssistant(file, file.assistant, records, batching, find=find, pool=self._pool)
        if file.llm is not None:
            from plimsoll.runtime.server.llms.served import ServedLlm

            return ServedLlm(file, file.llm, self._threads, records, batching)
        from plimsoll.runtime.server.predictors.served import ServedPredictor
        from plimsoll.runtime.server.predictors.start import runner_of

        return ServedPredictor(file, runner_of(file, self._threads), records, batching)

    def _replace(
        self,
        content: ServiceFile,
        loaded: dict[tuple[str, str], Served],
        reasons: dict[tuple[str, str], str],
    ) -> None:
        served: dict[str, dict[str, Served]] = {}
        for (name, version), each in loaded.items():
            served.setdefault(name, {})[version] = each
        routes, single = {}, {}
        for name, versions in served.items():
            shares = content.traffic.get(name, ())
            routes[name] = route = Route(shares)
            only = route.only if shares else newest(list(versions))
            if only in versions:
                single[name] = versions[only]
        self._served, self._routes, self._single, self._reasons = served, routes, single, reasons
        self.has_shadows = any(route.has_shadows for route in routes.values())


def _same(served: Served, file: ModelFile, batching: Batching) -> bool:
    if served.batching != batching or (served.file or file) != file or str(served.model.path) != str(Path(file.path)):
        return False
    return not file.digest or served.model.digest == file.digest


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(f"'{name}'" for name in list(names)[:20]) or "none"


def _nothing_to_prepare(_: Served) -> None:
    pass
