"""Images of steps and of our own runtime: made on this machine, sent as far as the cluster's registry lacks them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from plimsoll.images.base import BaseImage, find_base
from plimsoll.images.code import code_layer
from plimsoll.images.dependencies import PythonTarget, dependencies_layer
from plimsoll.images.image import compose, push_image
from plimsoll.images.layers import Layer, LayerStore
from plimsoll.images.runtime import RUNTIME_DIRECTORY as RUNTIME
from plimsoll.images.runtime import runtime_layers
from plimsoll.kubernetes.cluster import Cluster, RegistryPlace
from plimsoll.registry.connection import RegistryAccess
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.runtime.pod_task import DEPENDENCIES

COMMON = "plimsoll/runtime"
"""The repository of our own images, the same for all applications."""


class Images:
    """One application's images. `us` is the registry as it is reached from here, `path` where all of it lies."""

    def __init__(
        self, cluster: Cluster, place: RegistryPlace, us: str, access: RegistryAccess, path: str, directory: Path
    ) -> None:
        self._cluster = cluster
        self._place = place
        self._us = us
        self._access = access
        self._path = path
        self._directory = directory
        self._store = LayerStore.default()
        self._lock = threading.Lock()
        self._base: BaseImage | None = None
        self._known: dict[str, str] = {}

    def repository(self, name: str) -> Repository:
        """A repository of the application, as it is reached from here. The caller closes it."""
        return Repository(parse_reference(f"{self._us}/{self._path}/{name}"), self._access)

    def for_pods(self, name: str, digest: str) -> str:
        """A reference by digest, as pods reach it."""
        return f"{self._place.pods}/{self._path}/{name}@{digest}"

    def of_environment(self, requirements: str, digest: str) -> str:
        """Have the layer of a requirements file made; gives its digest. It travels with the first step that uses it."""
        with self._lock:
            return self._dependencies(requirements, digest).diff_id

    def of_step(self, code: Sequence[tuple[str, str]], environment: tuple[str, str] | None) -> str:
        """The image of a step's code (pairs of path and digest) and requirements (file and digest), as nodes pull."""
        key = repr((sorted(code), environment))

        def make() -> str:
            layers = runtime_layers(self._store, self._python(), ())
            if environment:
                layers.append(self._dependencies(*environment))
            own = code_layer(self._store, self._directory, code)
            # What all applications have in common is sent once for all of them, and taken over from there.
            self._pushed(COMMON, layers[: len(layers) - bool(environment)], "")
            return self._pushed(f"{self._path}/steps", [*layers, own.layer], own.workdir, mount_from=COMMON)

        return self._once(key, make)

    def runtime(self, *extras: str) -> str:
        """The image of our server, scorer, puller and fetcher, as nodes pull it; `extras` such as `s3` are for sources.

        Raises MissingExtra for one that is not installed here.
        """
        wanted = ("serve", *extras)
        name = "-".join([COMMON, *extras])
        return self._once(name, lambda: self._pushed(name, runtime_layers(self._store, self._python(), wanted), ""))

    def _once(self, key: str, make: Callable[[], str]) -> str:
        # Steps ask from several threads; a layer that two make at once would be made twice.
        with self._lock:
            if key not in self._known:
                self._known[key] = make()
            return self._known[key]

    def _pushed(self, path: str, layers: Sequence[Layer], workdir: str, mount_from: str = "") -> str:
        # Commands that come with requirements, such as `ray`, are for those who start a step's pods otherwise.
        variables = {"PYTHONPATH": f"/{RUNTIME}", **({"PATH": f"{DEPENDENCIES}/bin"} if workdir else {})}
        image = compose(self._found_base(), layers, environment=variables, workdir=workdir, command=("python",))
        sources = [parse_reference(f"{self._us}/{mount_from}").repository] if mount_from else []
        with Repository(parse_reference(f"{self._us}/{path}"), self._access) as repository:
            pushed = push_image(image, repository, self._store, mount_from=sources)
        return f"{self._place.nodes}/{path}@{pushed.reference.digest}"

    def _dependencies(self, requirements: str, digest: str) -> Layer:
        return dependencies_layer(self._store, self._directory / requirements, digest, self._python(), self._directory)

    def _python(self) -> PythonTarget:
        return PythonTarget.of(self._found_base())

    def _found_base(self) -> BaseImage:
        """The base, read where this machine reaches it: in the cluster's own registry by the way that leads there."""
        if self._base is None:
            name = self._cluster.base
            inside = f"{self._place.nodes}/"
            if name.startswith(inside):
                name = f"{self._us}/{name.removeprefix(inside)}"
            own = name.startswith(f"{self._us}/")
            self._base = find_base(name, self._store, access=self._access if own else None)
        return self._base
