"""The models of a server: loaded, exchanged and let go while requests are answered.

A request holds on to the version that it was given; a version that is exchanged or unloaded is freed with its last
request. All changes are made in the event loop's thread between two requests, loading itself in a thread of its own.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from plimsoll.errors import PlimsollError
from plimsoll.runtime.model import OnnxModel
from plimsoll.runtime.server.counts import Count, Records
from plimsoll.runtime.server.served import Served
from plimsoll.runtime.server.service_file import Batching, ModelFile, ServiceFile, newest
from plimsoll.runtime.server.traffic import Route


class NoModel(Exception):
    """A model or version that is not here; the message names what is."""


class Unavailable(Exception):
    """A model that is known and not ready."""


class Indexed(Struct, frozen=True, kw_only=True):
    """A line of the repository's index: `state` is `READY` or `UNAVAILABLE`, with the reason."""

    name: str
    version: str
    state: str
    reason: str = ""


class Catalog:
    """Models by name and version, and which version answers."""

    def __init__(self, source: Callable[[], ServiceFile], *, threads: int = 1) -> None:
        """`source` gives what there is to serve, now; it is asked again at every load. It may raise PlimsollError."""
        self._source = source
        self._threads = max(1, threads)
        self._pool = ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="infer")
        self._changing = asyncio.Lock()
        self._served: dict[str, dict[str, Served]] = {}
        self._routes: dict[str, Route] = {}
        self._plain: dict[str, Served] = {}
        self._reasons: dict[tuple[str, str], str] = {}
        self.unloaded: set[str] = set()
        """Models that were told to go, until they are told to come."""
        self.records: dict[tuple[str, str], Records] = {}
        """What was counted, also of versions that have gone: a counter never goes back."""

    # Asking.

    def choose(self, model: str, version: str | None, headers: Mapping[str, str]) -> Served:
        """The version that answers. Raises NoModel, Unavailable."""
        if version is None:
            plain = self._plain.get(model)
            if plain is not None:
                return plain
        versions = self._served.get(model)
        if not versions:
            if model in self.unloaded or any(name == model for name, _ in self._reasons):
                raise Unavailable(f"model '{model[:80]}' is not loaded")
            raise NoModel(f"there is no model '{model[:80]}' here, only {_words(self._served)}")
        if version is None:
            version = self._routes[model].choose(headers, random.random())  # noqa: S311 - shares of traffic, no secret
        if version is None:
            raise Unavailable(f"no version of model '{model}' has a weight")
        if version not in versions:
            raise NoModel(f"there is no version '{version[:20]}' here, only {_words(versions)}")
        return versions[version]

    def shadows(self, served: Served) -> list[Served]:
        """The versions that get a copy of a request which `served` answers."""
        if served.name in self._plain:
            return []
        versions = self._served.get(served.name, {})
        wanted = self._routes[served.name].shadows(served.version, random.random())  # noqa: S311 - as above
        return [versions[version] for version in wanted if version in versions]

    def versions(self, model: str) -> list[str]:
        """The versions of a model that are ready."""
        return list(self._served.get(model, {}))

    def all(self) -> list[Served]:
        """Everything that is ready."""
        return [served for versions in self._served.values() for served in versions.values()]

    def counts(self) -> list[Count]:
        """What was counted of every version, also of those that have gone."""
        return [
            Count(model=name, version=version, there=version in self._served.get(name, {}), records=records)
            for (name, version), records in self.records.items()
        ]

    def index(self) -> list[Indexed]:
        """Every version that there is to serve, and how it stands."""
        lines = {}
        for name, version in [*((f.name, f.version) for f in self._source().models), *self._reasons]:
            ready = version in self._served.get(name, {})
            reason = "" if ready else self._reasons.get((name, version), "unloaded")
            lines[name, version] = Indexed(
                name=name, version=version, state="READY" if ready else "UNAVAILABLE", reason=reason
            )
        return list(lines.values())

    # Changing.

    async def load(self, model: str) -> None:
        """Load all versions of a model anew. Raises NoModel, PlimsollError when a file cannot be served."""
        if not any(file.name == model for file in self._source().models):
            known = {file.name: None for file in self._source().models}
            raise NoModel(f"there is no model '{model[:80]}' to load, only {_words(known)}")
        self.unloaded.discard(model)
        await self.refresh(anew=model)
        failures = [reason for (name, _), reason in self._reasons.items() if name == model]
        if failures:
            raise PlimsollError(failures[0])

    async def unload(self, model: str) -> None:
        """Let a model go; requests that are under way are answered. Raises NoModel."""
        if model not in self._served and model not in self.unloaded:
            raise NoModel(f"there is no model '{model[:80]}' here, only {_words(self._served)}")
        self.unloaded.add(model)
        await self.refresh()

    async def refresh(self, anew: str | None = None) -> None:
        """Make what is served what the source says. What is served well and has not changed stays as it is.

        A version that cannot be loaded is kept out with its reason; an older one of the same number goes on.
        """
        async with self._changing:
            content = self._source()
            files = {(f.name, f.version): f for f in content.models if f.name not in self.unloaded}
            loaded: dict[tuple[str, str], Served] = {}
            reasons: dict[tuple[str, str], str] = {}
            for key, file in files.items():
                present = self._served.get(file.name, {}).get(file.version)
                batching = content.batching.get(file.name, Batching())
                if present is not None and file.name != anew and _same(present, file, batching):
                    loaded[key] = present
                    continue
                try:
                    loaded[key] = await asyncio.to_thread(self.served, file, batching)
                except PlimsollError as error:
                    reasons[key] = error.on_one_line()
                    if present is not None:
                        loaded[key] = present
            self._exchange(content, loaded, reasons)

    def served(self, file: ModelFile, batching: Batching) -> Served:
        """Load one version. Raises PlimsollError."""
        model = OnnxModel(Path(file.path), file.name, threads=self._threads, digest=file.digest)
        records = self.records.setdefault((file.name, file.version), Records())
        return Served(model, file.version, records, pool=self._pool, threads=self._threads, batching=batching)

    def load_first(self) -> None:
        """Load everything before the first request. Raises PlimsollError for the first that cannot be served."""
        content = self._source()
        loaded = {}
        for file in [file for file in content.models if file.name not in self.unloaded]:
            loaded[file.name, file.version] = self.served(file, content.batching.get(file.name, Batching()))
        self._exchange(content, loaded, {})

    def _exchange(
        self,
        content: ServiceFile,
        loaded: dict[tuple[str, str], Served],
        reasons: dict[tuple[str, str], str],
    ) -> None:
        served: dict[str, dict[str, Served]] = {}
        for (name, version), each in loaded.items():
            served.setdefault(name, {})[version] = each
        routes, plain = {}, {}
        for name, versions in served.items():
            shares = content.traffic.get(name, ())
            routes[name] = route = Route(shares)
            only = route.only if shares else newest(list(versions))
            if only in versions:
                plain[name] = versions[only]
        self._served, self._routes, self._plain, self._reasons = served, routes, plain, reasons


def _same(served: Served, file: ModelFile, batching: Batching) -> bool:
    if served.batching != batching or str(served.model.path) != file.path:
        return False
    return not file.digest or served.model.digest == file.digest


def _words(names: Mapping[str, object]) -> str:
    return ", ".join(f"'{name}'" for name in list(names)[:20]) or "none"
