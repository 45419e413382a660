"""Results of steps that have rows of a person, in the cluster's registry: found by their keys, and deleted with blobs.

A registry that forgets a tag keeps the blobs until somebody collects them, so that they are deleted by name; those that
another result has as well stay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.registry.problems import RegistryError
from plimsoll.registry.repository import Repository
from plimsoll.targets.features import Leaving
from plimsoll.targets.kubernetes.leavings import ClusterLeavings
from plimsoll.targets.kubernetes.results import RegistryResults, checkpoint_tag, curve_tag
from plimsoll.targets.kubernetes.run_lease import RunLease

KIND = "results"


class ClusterRows:
    """One application's results. `lease` excludes runs and takes what is said while it is waited for."""

    def __init__(
        self,
        results: Callable[[], RegistryResults],
        leavings: ClusterLeavings,
        lease: Callable[[Callable[[str], None]], RunLease],
    ) -> None:
        self._results, self._leavings, self._lease = results, leavings, lease

    def find(self, keys: Collection[str]) -> Sequence[Leaving]:
        """The results, checkpoints and curves of these steps that are there. Raises PlimsollError."""
        repository = self._results().repository
        return [Leaving(kind=KIND, name=tag) for tag in _tags(keys) if repository.has_manifest(tag)]

    def remove(self, keys: Collection[str], say: Callable[[str], None]) -> Sequence[Leaving]:
        """Delete them while no run goes on, and what finished runs have left, with its logs.

        Raises TargetError while somebody's run goes on, or where the registry deletes nothing.
        """
        self._leavings.remove((), say)
        lease = self._lease(say)
        gone: list[Leaving] = []
        try:
            lease.begin()
            repository = self._results().repository
            doomed = {tag: digest for tag in _tags(keys) if (digest := repository.has_manifest(tag))}
            kept = _blobs_of_others(repository, doomed)
            for tag, digest in doomed.items():
                if not lease.holds():
                    raise TargetError(
                        "the cluster was taken by a run", where=repository.reference.name, hint="try again"
                    )
                blobs = _blobs(repository, digest)
                _delete(repository, "manifests", digest)
                for blob in sorted(blobs - kept):
                    _delete(repository, "blobs", blob)
                gone.append(Leaving(kind=KIND, name=tag))
        finally:
            lease.end()
        return gone


def _tags(keys: Collection[str]) -> Iterator[str]:
    for key in sorted(keys):
        yield from (key, f"pending-{key}", checkpoint_tag(key), curve_tag(key))


def _blobs_of_others(repository: Repository, doomed: dict[str, str]) -> set[str]:
    digests = {repository.has_manifest(tag) for tag in repository.tags() if tag not in doomed}
    return {blob for digest in digests - {"", *doomed.values()} for blob in _blobs(repository, digest)}


def _blobs(repository: Repository, digest: str) -> set[str]:
    """The blobs of a manifest; none of one that is gone, or that is no artifact's."""
    try:
        found = repository.manifest(digest).decoded()
    except PlimsollError:
        return set()
    return {found.config.digest, *(layer.digest for layer in found.layers)}


def _delete(repository: Repository, what: str, digest: str) -> None:
    """Raises TargetError where the registry deletes nothing. What is gone is no error."""
    try:
        repository.delete(what, digest)
    except RegistryError as error:
        hint = "let the registry delete (`storage.delete.enabled` of the distribution registry), then erase again"
        text = f"the registry does not delete {what}: {error.message}"
        raise TargetError(text, where=repository.reference.name, hint=hint) from error
