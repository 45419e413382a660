"""A cluster in a run over several targets: its results for others, and theirs in the registry that its pods reach."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from plimsoll.errors import ModelRefused, TargetError
from plimsoll.kinds.register import RegisterResult
from plimsoll.kubernetes.cluster import RegistryPlace
from plimsoll.planning.steps import AnyStep
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.exchange import Content, Files, Image, Parcel
from plimsoll.targets.kubernetes.images import Images
from plimsoll.targets.kubernetes.results import RegistryResults
from plimsoll.targets.kubernetes.work.register import push_version
from plimsoll.targets.local.exchange import size_of_version
from plimsoll.targets.models import model_registry

HINT = "run again to make it anew"


class ClusterExchange:
    """The results of one application on one cluster. What leads to its registry is opened when it is first asked."""

    def __init__(
        self,
        state: StateDirectory,
        place: Callable[[], RegistryPlace],
        results: Callable[[], RegistryResults],
        images: Callable[[], Images],
    ) -> None:
        self._state = state
        self._place = place
        self._results = results
        self._images = images

    @property
    def registry(self) -> str:
        """The registry as this machine names it; one that only the cluster itself reaches is no other's."""
        return self._place().us or ""

    def content(self, step: AnyStep) -> Content | None:
        """What the cluster has of a step."""
        if step.work.travels == "model":
            known = self._state.result(step.key, step.work.result)
            if not isinstance(known, RegisterResult) or not known.reference:
                return None
            return Content(digest=known.digest, size=size_of_version(self._state, step, known))
        found = self._results().find(step.key)
        if found is None:
            return None
        return Content(digest=found.digest, size=artifacts.size(self._results().repository, found.digest))

    def give(self, step: AnyStep) -> Image:
        """The image of a finished step, by its digest."""
        found = self._results().find(step.key)
        if found is None:
            raise TargetError("its result is not in the registry", where=step.name, hint=HINT)
        return Image(repository=self._results().repository, digest=found.digest, values=found.values)

    def take(self, step: AnyStep, parcel: Parcel) -> Content:
        """Have a result in the cluster's registry under its key: an image as it is, or the image of its files."""
        results = self._results()
        if isinstance(parcel, Image):
            sent = parcel.digest
            artifacts.copy(parcel.repository, sent, results.repository, step.key)
        else:
            assert isinstance(parcel, Files)  # noqa: S101 - there is no third kind
            sent = results.put(step.key, parcel.path, parcel.result)
        arrived = results.find(step.key)
        if arrived is None or arrived.digest != sent:
            has = arrived.digest if arrived is not None else "nothing"
            message = f"the registry has {has} under the key of {step.name}, and was sent {sent}"
            raise ModelRefused(message, where=results.repository.reference.name, hint=HINT)
        return Content(digest=arrived.digest, size=artifacts.size(results.repository, arrived.digest))

    def take_model(self, step: AnyStep, registered: RegisterResult) -> Content:
        """Push the version with its signature to where the cluster's pods pull it, and look whether it is there."""
        size = size_of_version(self._state, step, registered)
        version = model_registry(self._state).find(registered.version_of(step.part))
        reference = push_version(version, self._state, self._images())
        with self._images().repository(f"models/{version.name}") as repository:
            _require_arrived(repository, registered.digest)
        self._state.fresh_work(step.key)
        self._state.commit(step.key, replace(registered, reference=reference))
        return Content(digest=registered.digest, size=size)


def _require_arrived(repository: Repository, digest: str) -> None:
    """Raise ModelRefused unless the manifest of a version can be read there and has its digest."""
    found = repository.manifest(digest).digest
    if found != digest:
        message = f"the registry gives {found} for the version {digest}"
        raise ModelRefused(message, where=repository.reference.name, hint=HINT)
