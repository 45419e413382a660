"""Images of steps and of our own runtime: made on this machine, sent as far as the cluster's registry lacks them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.images.base import ON_DISK, BaseImage, OtherArchitecture, find_base, own_architecture
from plimsoll.images.code import code_layer
from plimsoll.images.dependencies import PythonTarget, dependencies_layer
from plimsoll.images.image import Image, compose, push_image, push_index
from plimsoll.images.layers import Layer, LayerStore
from plimsoll.images.runtime import RUNTIME_DIRECTORY as RUNTIME
from plimsoll.images.runtime import runner_layers, runtime_layers
from plimsoll.kubernetes.cluster import Cluster, RegistryPlace
from plimsoll.registry.connection import RegistryAccess
from plimsoll.registry.cosign import may_sign_artifact, sign_artifact
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.runtime.pod_task import DEPENDENCIES
from plimsoll.signing.keys import KeyRing

COMMON = "plimsoll/runtime"
"""The repository of our own images, the same for all applications."""


class Images:
    """One application's images. `us` is the registry as it is reached from here, `path` where all of it lies.

    What is pushed is signed with `keys`, for admission on the cluster and for `cosign verify`.
    """

    def __init__(
        self,
        cluster: Cluster,
        place: RegistryPlace,
        us: str,
        access: RegistryAccess,
        path: str,
        directory: Path,
        keys: KeyRing | None = None,
    ) -> None:
        self._cluster = cluster
        self._place = place
        self._us = us
        self._access = access
        self._path = path
        self._directory = directory
        self._keys = keys
        self._store = LayerStore.default()
        self._lock = threading.Lock()
        self._bases: dict[str, BaseImage] = {}
        self._architectures: tuple[str, ...] | None = None
        self._known: dict[str, str] = {}

    def repository(self, name: str) -> Repository:
        """A repository of the application, as it is reached from here. The caller closes it."""
        return Repository(parse_reference(f"{self._us}/{self._path}/{name}"), self._access)

    def for_pods(self, name: str, digest: str) -> str:
        """A reference by digest, as pods reach it."""
        return f"{self._place.pods}/{self._path}/{name}@{digest}"

    def sign(self, repository: Repository, digest: str) -> None:
        """Sign what was pushed, where the key may sign images: one that is limited to other things leaves it unsigned.

        Raises TargetError for a key that cannot be used, RegistryError for the registry.
        """
        if self._keys is not None and may_sign_artifact(self._keys, repository):
            sign_artifact(repository, digest, self._keys, ("bundle",))

    def of_environment(self, requirements: str, digest: str) -> str:
        """Have the layer of a requirements file made; gives its digest. It travels with the first step that uses it."""
        with self._lock:
            bases = [self._base_of(each) for each in self._found_architectures()]
            made = [self._dependencies(requirements, digest, base) for base in bases]
        return made[0].diff_id

    def of_step(
        self,
        code: Sequence[tuple[str, str]],
        environment: tuple[str, str] | None,
        *extras: str,
        starts: tuple[str, ...] = (),
    ) -> str:
        """The image of a step's code (pairs of path and digest) and requirements (file and digest), as nodes pull.

        `extras` are for code that our server runs. `starts` is what it begins with, as root, where nobody gives a
        command. Raises MissingExtra for an extra that is not installed here.
        """
        key = repr((sorted(code), environment, extras, starts))

        def make() -> str:
            own = code_layer(self._store, self._directory, code)

            def common(base: BaseImage) -> list[Layer]:
                return runtime_layers(self._store, PythonTarget.of(base), extras)

            def everything(base: BaseImage) -> list[Layer]:
                added = [self._dependencies(*environment, base)] if environment else []
                return [*common(base), *added, own.layer]

            # What all applications have in common is sent once for all of them, and taken over from there.
            repository = "-".join([COMMON, *(each for each in extras if each != "serve")])
            self._pushed(repository, common, "")
            return self._pushed(f"{self._path}/steps", everything, own.workdir, mount_from=repository, starts=starts)

        return self._once(key, make)

    def of_application(self, files: Sequence[str], extras: Sequence[str]) -> tuple[str, str]:
        """The image that runs an application with these files: its reference, and the directory of the application.

        Raises MissingExtra for an extra that is not installed here.
        """
        own = code_layer(self._store, self._directory, [(name, "") for name in files])

        def layers(base: BaseImage) -> list[Layer]:
            return [*runner_layers(self._store, PythonTarget.of(base), extras), own.layer]

        return self._pushed(f"{self._path}/runs", layers, own.workdir), own.workdir

    def base(self) -> str:
        """The base by a name that pods can build on: one that lies on this disk is pushed, as it is."""
        if not self._cluster.base.startswith(ON_DISK):
            return self._cluster.base
        return self._pushed_images(f"{self._path}/base", lambda base: compose(base, [], user=""))

    def runtime(self, *extras: str, starts: tuple[str, ...] = ()) -> str:
        """The image of our server, scorer, puller and fetcher, as nodes pull it; `extras` such as `s3` are for sources.

        `starts` is what it begins with, as root, where nobody gives a command. Raises MissingExtra for an extra that is
        not installed here.
        """
        wanted = ("serve", *extras)
        name = "-".join([COMMON, *extras])

        def layers(base: BaseImage) -> list[Layer]:
            return runtime_layers(self._store, PythonTarget.of(base), wanted)

        return self._once(f"{name} {starts}", lambda: self._pushed(name, layers, "", starts=starts))

    def architectures(self) -> tuple[str, ...]:
        """The architectures of all images: those of the nodes that the base has too; empty where nodes have none.

        Raises TargetError for a base that runs on no node.
        """
        if self._cluster.nodes and not self._cluster.architectures:
            return ()
        with self._lock:
            return self._found_architectures()

    def _once(self, key: str, make: Callable[[], str]) -> str:
        # Steps ask from several threads; a layer that two make at once would be made twice.
        with self._lock:
            if key not in self._known:
                self._known[key] = make()
            return self._known[key]

    def _pushed(
        self,
        path: str,
        layers: Callable[[BaseImage], Sequence[Layer]],
        workdir: str,
        mount_from: str = "",
        starts: tuple[str, ...] = (),
    ) -> str:
        # Commands that come with requirements, such as `ray`, are for those who start a step's pods otherwise.
        variables = {"PYTHONPATH": f"/{RUNTIME}", **({"PATH": f"{DEPENDENCIES}/bin"} if workdir else {})}

        def made(base: BaseImage) -> Image:
            if starts:
                # Whoever starts it so prepares no volume that others than root may write to.
                return compose(base, layers(base), environment=variables, workdir=workdir, command=starts, user="root")
            return compose(base, layers(base), environment=variables, workdir=workdir, command=("python",))

        return self._pushed_images(path, made, mount_from)

    def _pushed_images(self, path: str, make: Callable[[BaseImage], Image], mount_from: str = "") -> str:
        sources = [parse_reference(f"{self._us}/{mount_from}").repository] if mount_from else []
        made: dict[str, Image] = {}
        with Repository(parse_reference(f"{self._us}/{path}"), self._access) as repository:
            for architecture in self._found_architectures():
                made[architecture] = make(self._base_of(architecture))
                push_image(made[architecture], repository, self._store, mount_from=sources)
            digest = push_index(made, repository) if len(made) > 1 else next(iter(made.values())).digest
            self.sign(repository, digest)
        return f"{self._place.nodes}/{path}@{digest}"

    def _dependencies(self, requirements: str, digest: str, base: BaseImage) -> Layer:
        python = PythonTarget.of(base)
        return dependencies_layer(self._store, self._directory / requirements, digest, python, self._directory)

    def _found_architectures(self) -> tuple[str, ...]:
        """Where nodes have several, those of them that the base is for, in their order."""
        if self._architectures is None:
            wanted = self._cluster.architectures or (own_architecture(),)
            found = [each for each in wanted if len(wanted) == 1 or self._has_base(each)]
            if not found:
                raise TargetError(
                    f"the base image is for none of the nodes' architectures: {', '.join(wanted)}",
                    where=self._cluster.base,
                    hint="name another with --base",
                )
            self._architectures = tuple(found)
        return self._architectures

    def _has_base(self, architecture: str) -> bool:
        # A folder does not say what its programs run on: it is taken for this machine's.
        if self._cluster.base.startswith("rootfs:"):
            return architecture == own_architecture()
        try:
            self._base_of(architecture)
        except OtherArchitecture:
            return False
        return True

    def _base_of(self, architecture: str) -> BaseImage:
        """The base, read where this machine reaches it: in the cluster's own registry by the way that leads there."""
        if architecture not in self._bases:
            name = self._cluster.base
            inside = f"{self._place.nodes}/"
            if name.startswith(inside):
                name = f"{self._us}/{name.removeprefix(inside)}"
            access = self._access if name.startswith(f"{self._us}/") else None
            self._bases[architecture] = find_base(name, self._store, architecture=architecture, access=access)
        return self._bases[architecture]
