"""Brings models to a device: by deltas from what it has where the state names them, else as whole files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.edge.agent.disk import AgentDisk
from plimsoll.edge.deltas import apply_delta
from plimsoll.edge.documents import Delta, WantedService
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.registry.layout import Descriptor, Manifest
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.registry.transfer import pull_files
from plimsoll.registry.verification import PROOF_DIRECTORY
from plimsoll.registry.versions import safe_file_path


class Fetching:
    """The models of a device. `tell` gets a line for a delta that does not do."""

    def __init__(self, disk: AgentDisk, tell: Callable[[str], None]) -> None:
        self._disk = disk
        self._tell = tell

    def fetch(self, wanted: WantedService, here: Iterable[WantedService]) -> int:
        """Bring a model to the disk, verified, unless it is here; the bytes that came over the link.

        `here` are services whose models the device has. A broken download goes on where it ended. Raises
        RegistryError, ModelRefused, TargetError.
        """
        directory = self._disk.model(wanted.reference)
        if directory.exists():
            return 0
        reference = parse_reference(wanted.reference)
        deltas = {each.file: each for each in wanted.deltas}
        bases = {digest: path for each in here for digest, path in self._files(each).items()} if deltas else {}
        with Repository(reference) as repository:

            def by_delta(layer: Descriptor, path: Path) -> bool:
                delta = deltas.get(layer.digest)
                return delta is not None and delta.base in bases and self._apply(repository, delta, bases, layer, path)

            pull_files(repository, reference.digest, self._disk.owner, directory, otherwise=by_delta)
            return repository.connection.received

    def _apply(
        self, repository: Repository, delta: Delta, bases: dict[str, Path], layer: Descriptor, path: Path
    ) -> bool:
        packed = path.with_name(f".{path.name}.{delta.digest[-16:]}")
        blob = Descriptor(media_type="", digest=delta.digest, size=delta.size)
        try:
            repository.pull_blob(blob, packed, f"the delta of {path.name}")
            apply_delta(packed, bases[delta.base], path, size=layer.size, digest=layer.digest)
        except (ModelRefused, TargetError) as error:
            # A link that is down ends the download of the whole file too; anything else costs bytes and no release.
            self._tell(f"{error.on_one_line()}; the whole file is fetched")
            return False
        finally:
            packed.unlink(missing_ok=True)
        return True

    def _files(self, service: WantedService) -> dict[str, Path]:
        """The files of a model on this disk by digest; what a delta makes of a wrong one has another digest."""
        directory = self._disk.model(service.reference)
        try:
            content = (directory / PROOF_DIRECTORY / "manifest.json").read_bytes()
            layers = msgspec.json.decode(content, type=Manifest).layers
        except (*UNREADABLE, OSError):
            return {}
        return {each.digest: directory / safe_file_path(each) for each in layers}
