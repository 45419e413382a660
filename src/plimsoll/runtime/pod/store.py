"""A pod's access to the registry: inputs, checkpoints, the model and the output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from plimsoll.application.scalars import environment_name
from plimsoll.encoding import is_utf8
from plimsoll.errors import TargetError
from plimsoll.registry.connection import RegistryAccess
from plimsoll.registry.references import Reference, parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts
from plimsoll.runtime.figures import read_figures
from plimsoll.runtime.outputs import files_in, require_outputs, unnamed_files
from plimsoll.runtime.pod.checkpoints import CheckpointUploader
from plimsoll.runtime.pod.curve import PodCurve
from plimsoll.runtime.pod.indexing import index_facts
from plimsoll.runtime.pod_task import CA_DIRECTORY, KEY_FILE, WORK, PodInput, PodTask

if TYPE_CHECKING:
    from plimsoll.vault.content_keys import ContentSealer


class PodStore:
    """The data that a task reads and writes. The end of the block closes its connections."""

    def __init__(self, task: PodTask) -> None:
        self.task = task
        self._open: dict[str, Repository] = {}

    def __enter__(self) -> PodStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for repository in self._open.values():
            repository.close()

    def inputs(self) -> dict[str, str]:
        """Pull the inputs. Returns PLIMSOLL_INPUT_<NAME> for each. Raises TargetError for a missing input."""
        return {f"PLIMSOLL_INPUT_{environment_name(given.name)}": str(self._path(given)) for given in self.task.inputs}

    def only_input(self) -> str:
        """The path of the only input of a batch or an index."""
        return str(self._path(self.task.inputs[0]))

    def checkpoint_uploader(
        self, directory: Path, log: Callable[[str], None], curve: PodCurve | None
    ) -> CheckpointUploader | None:
        """The uploader of checkpoints, and of the curve with them; `None` for a step without checkpoints."""
        if self.task.checkpoint is None:
            return None
        repository, reference = self._repository(self.task.checkpoint)
        then = curve.push if curve is not None else lambda: None
        return CheckpointUploader(repository, reference.target, directory, log, then)

    def curve(self, directory: Path, output: Path, log: Callable[[str], None]) -> PodCurve | None:
        """The curve over all attempts; `None` for a step that does not train."""
        if self.task.curve is None:
            return None
        repository, reference = self._repository(self.task.curve)
        return PodCurve(repository, reference.target, directory, output, log)

    def model(self) -> Path:
        """The verified ONNX file of the task's model. An init container has pulled it."""
        found = sorted(Path(WORK, "model").glob("*.onnx"))
        if not found:
            raise TargetError("the init container has not pulled the model", where=str(Path(WORK, "model")))
        return next((path for path in found if path.name == "model.onnx"), found[0])

    def push_output(self, output: Path, checkpoints: Path) -> str:
        """Push the output to the task's result, with facts about it. Returns the digest."""
        require_outputs(output, self.task.outputs)
        figures = read_figures(output)
        metrics = figures.metrics
        notes = (*figures.notes, *unnamed_files(output))
        facts: dict[str, object] = {"outputs": files_in(output), "metrics": metrics}
        if notes:
            facts["notes"] = notes
        if self.task.action == "train":
            facts["checkpoints"] = sum(1 for path in checkpoints.rglob("*") if path.is_file())
        if self.task.action == "score":
            facts |= {"rows": int(metrics.get("rows", 0)), "seconds": metrics.get("seconds", 0.0)}
        if self.task.index is not None:
            facts |= index_facts(self.task.index, output)
        if self.task.action == "fetch" and (name := source_name(self.task.source)):
            (output / SINGLE_FILE_MARK).write_text(name, encoding="utf-8")
        repository, reference = self._repository(self.task.result)
        files = {name: path for name, path in artifacts.files_below(output).items() if is_utf8(name)}
        return artifacts.push(repository, reference.target, files, facts)

    def _path(self, given: PodInput) -> Path:
        base = Path(given.mounted) if given.mounted else self._pulled(given)
        found = base / given.file if given.file else _resolve_single_file(base)
        if not found.exists():
            raise TargetError(f"the input {given.name} has no file {given.file}", where=given.reference)
        return found

    def _pulled(self, given: PodInput) -> Path:
        directory = Path(WORK, "inputs", given.name)
        if not directory.exists():
            repository, reference = self._repository(given.reference)
            if not artifacts.pull(repository, reference.target, directory):
                message = f"the input {given.name} is not in the registry"
                raise TargetError(message, where=given.reference, hint="run again to make the input")
        return directory

    def _sealer(self) -> ContentSealer | None:
        return sealer_in_a_pod() if self.task.sealed else None

    def _repository(self, text: str) -> tuple[Repository, Reference]:
        reference = parse_reference(text)
        if reference.name not in self._open:
            authority = Path(CA_DIRECTORY, "ca.crt")
            access = RegistryAccess.of_environment(reference)
            if access.ca_file is None and authority.is_file():
                access = RegistryAccess(plain_http=access.plain_http, ca_file=authority)
            self._open[reference.name] = Repository(reference, access, self._sealer())
        return self._open[reference.name], reference


def sealer_in_a_pod() -> ContentSealer:
    """By the key that a Secret has put into this pod. Raises KeyProblem."""
    from plimsoll.vault.content_keys import ContentSealer
    from plimsoll.vault.key_sources import KeySource

    return ContentSealer.of(KeySource(file=KEY_FILE))


def source_name(url: str) -> str:
    """The file name of a URL; empty for a folder, whose URL ends with a slash."""
    path = urlsplit(url).path
    return "" if path.endswith("/") else PurePosixPath(path).name or "data"


def _resolve_single_file(base: Path) -> Path:
    """The path of a source: the file when the source is one file, else the directory."""
    mark = base / SINGLE_FILE_MARK
    return base / mark.read_text(encoding="utf-8") if mark.is_file() else base


SINGLE_FILE_MARK = ".plimsoll-single"
"""A file in the image of a source that names its only file. Without it the source is a directory."""
