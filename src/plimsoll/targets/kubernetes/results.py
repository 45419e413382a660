"""Results of steps in the cluster's registry, where pods, this machine and other people's machines find them by key."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, structs

from plimsoll.errors import PlimsollError
from plimsoll.kubernetes.cluster import RegistryPlace
from plimsoll.registry.layout import MANIFEST
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts
from plimsoll.runtime.pod.store import SINGLE_FILE_MARK
from plimsoll.state.curves import FILE as CURVE
from plimsoll.state.curves import add_attempt
from plimsoll.state.directory import StateDirectory
from plimsoll.state.results import AnyResult, Result, result_from_json, result_to_json

ROWS = (
    *(".csv", ".tsv", ".parquet", ".arrow", ".feather", ".orc", ".avro", ".ndjson", ".xlsx", ".sqlite", ".db"),
    *(".csv.gz", ".tsv.gz", ".jsonl.gz", ".npy", ".npz", ".h5", ".hdf5"),
)
"""Endings of files with rows of data: where rows must stay, a training's files with these do."""


def checkpoint_tag(key: str) -> str:
    """Where the checkpoints of a training are."""
    return f"checkpoint-{key}"


def curve_tag(key: str) -> str:
    """Where the points of all attempts of a training are."""
    return f"curve-{key}"


class StoredResult(Struct, frozen=True, kw_only=True):
    """A result in the registry: the digest of its image, and the values that stand in the image's label."""

    digest: str
    values: Mapping[str, object]


class RegistryResults:
    """One application's results. `repository` is reached from here, `place` says how pods and nodes name it."""

    def __init__(self, repository: Repository, place: RegistryPlace, path: str, secret: str = "") -> None:
        """`secret` names the Secret and the entry with the key under which pods encrypt; empty for in clear."""
        self.secret = secret
        self._repository = repository
        self._place = place
        self._path = path

    def close(self) -> None:
        """Close the connections to the registry."""
        self._repository.close()

    def for_pods(self, key: str) -> str:
        """The reference of a result, as pods reach it."""
        return f"{self._place.pods}/{self._path}:{key}"

    def exactly(self, digest: str) -> str:
        """The reference of a result's exact content, as pods reach it."""
        return f"{self._place.pods}/{self._path}@{digest}"

    def for_nodes(self, digest: str) -> str:
        """The reference of a result's exact content, as nodes pull it."""
        return f"{self._place.nodes}/{self._path}@{digest}"

    def find(self, key: str) -> StoredResult | None:
        """What is known of a result, without its files; `None` when there is none."""
        found = artifacts.read_facts(self._repository, key)
        return None if found is None else StoredResult(digest=found[0], values=found[1])

    def result(self, key: str, shape: type[AnyResult]) -> AnyResult | None:
        """The result of a key; `None` when there is none of this shape."""
        found = self.find(key)
        return None if found is None else result_from_json(found.values, shape)

    def put(self, key: str, source: Path, result: Result) -> str:
        """A source of this machine, a file or a directory, as the result of a step; gives its digest there."""
        facts = result_to_json(result)
        if source.is_dir():
            return artifacts.push(self._repository, key, artifacts.files_below(source), facts)
        with tempfile.TemporaryDirectory(prefix="plimsoll-") as scratch:
            mark = Path(scratch) / SINGLE_FILE_MARK
            mark.write_text(source.name, encoding="utf-8")
            return artifacts.push(self._repository, key, {source.name: source, SINGLE_FILE_MARK: mark}, facts)

    def seal(self, pending: str, key: str) -> None:
        """Let a result count that rank 0 has left, once the whole gang has ended well."""
        self._repository.push_manifest(self._repository.manifest(pending).content, MANIFEST, key)

    @property
    def repository(self) -> Repository:
        """The repository of all results, as it is reached from here."""
        return self._repository

    def fetch(self, key: str, shape: type[Result], state: StateDirectory, *, tables: bool = True) -> None:
        """Have a result's files on this machine as well, as the state directory keeps them; `tables` of rows too."""
        if state.result(key, shape) is not None:
            return
        found = self.result(key, shape)
        if found is None:
            return
        names = None if tables else [each.name for each in found.outputs if not each.name.lower().endswith(ROWS)]
        if names is not None:
            found = structs.replace(found, outputs=tuple(each for each in found.outputs if each.name in names))
        work = state.fresh_work(key)
        artifacts.pull(self._repository, key, work / "output", names)
        if (work / "output" / CURVE).is_file():
            self._fetch_curve(key, state)
        state.commit(key, found)

    def _fetch_curve(self, key: str, state: StateDirectory) -> None:
        """Have the points of earlier attempts too. A curve is worth no failure."""
        with contextlib.suppress(PlimsollError, OSError):
            self.fetch_points(key, state)

    def fetch_points(self, key: str, state: StateDirectory, known: str = "") -> str:
        """Have the points on this machine that a training has left so far, unless they are those of digest `known`.

        Returns their digest, empty without any. Raises PlimsollError, and OSError where they cannot be written.
        """
        digest = self._repository.has_manifest(curve_tag(key))
        if not digest or digest == known:
            return digest
        with tempfile.TemporaryDirectory(prefix="plimsoll-") as scratch:
            if artifacts.pull(self._repository, digest, Path(scratch)):
                add_attempt(state.earlier_points(key), Path(scratch) / CURVE)
        return digest

    def begin_anew(self, key: str) -> None:
        """Have a training that is forced begin without the checkpoints and points of the one before."""
        for tag in (checkpoint_tag(key), curve_tag(key)):
            if self._repository.has_manifest(tag):
                artifacts.push(self._repository, tag, {}, {})
