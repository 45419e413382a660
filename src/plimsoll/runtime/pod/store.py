"""The registry as a pod uses it: inputs, checkpoints, the model, and where the output goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from types import TracebackType
from urllib.parse import urlsplit

from plimsoll.application.scalars import environment_name
from plimsoll.errors import TargetError
from plimsoll.registry.connection import Access
from plimsoll.registry.references import Reference, parse
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts
from plimsoll.runtime.outputs import files_in, read_metrics, require_outputs
from plimsoll.runtime.pod.checkpoints import Keeper
from plimsoll.runtime.pod_task import AUTHORITIES, WORK, Errand, Given


class Store:
    """What an errand reads and writes. Connections end with the block."""

    def __init__(self, errand: Errand) -> None:
        self.errand = errand
        self._open: dict[str, Repository] = {}

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for repository in self._open.values():
            repository.close()

    def inputs(self) -> dict[str, str]:
        """PLIMSOLL_INPUT_<NAME> for each input, which is then there. Raises TargetError for one that is not."""
        return {
            f"PLIMSOLL_INPUT_{environment_name(given.name)}": str(self._path(given)) for given in self.errand.inputs
        }

    def only_input(self) -> str:
        """The path of the one input that a batch has."""
        return str(self._path(self.errand.inputs[0]))

    def keeper(self, directory: Path, rank: int, say: Callable[[str], None]) -> Keeper | None:
        """What keeps the checkpoints; `None` for a step that has none."""
        if self.errand.checkpoint is None:
            return None
        repository, reference = self._repository(self.errand.checkpoint)
        return Keeper(repository, reference.target, directory, say)

    def model(self) -> Path:
        """The verified ONNX file of the errand's model, which another container has put there."""
        found = sorted(Path(WORK, "model").glob("*.onnx"))
        if not found:
            raise TargetError("the model was not brought", where=str(Path(WORK, "model")))
        return next((path for path in found if path.name == "model.onnx"), found[0])

    def keep(self, output: Path, checkpoints: Path) -> str:
        """Put the output where the errand says, with what is to be known of it; gives its digest."""
        require_outputs(output, self.errand.outputs)
        metrics = read_metrics(output)
        facts: dict[str, object] = {"outputs": files_in(output), "metrics": metrics}
        if self.errand.do == "train":
            facts["checkpoints"] = sum(1 for path in checkpoints.rglob("*") if path.is_file())
        if self.errand.do == "score":
            facts |= {"rows": int(metrics.get("rows", 0)), "seconds": metrics.get("seconds", 0.0)}
        if self.errand.do == "fetch" and (name := source_name(self.errand.source)):
            (output / SINGLE).write_text(name, encoding="utf-8")
        repository, reference = self._repository(self.errand.result)
        return artifacts.push(repository, reference.target, artifacts.files_below(output), facts)

    def _path(self, given: Given) -> Path:
        base = Path(given.mounted) if given.mounted else self._pulled(given)
        found = base / given.file if given.file else _single(base)
        if not found.exists():
            raise TargetError(f"the input {given.name} has no {given.file}", where=given.reference)
        return found

    def _pulled(self, given: Given) -> Path:
        directory = Path(WORK, "inputs", given.name)
        if not directory.exists():
            repository, reference = self._repository(given.reference)
            if not artifacts.pull(repository, reference.target, directory):
                message = f"the input {given.name} is not in the registry"
                raise TargetError(message, where=given.reference, hint="run again to make it anew")
        return directory

    def _repository(self, text: str) -> tuple[Repository, Reference]:
        reference = parse(text)
        if reference.name not in self._open:
            authority = Path(AUTHORITIES, "ca.crt")
            access = Access.of_environment(reference)
            if access.ca_file is None and authority.is_file():
                access = Access(plain_http=access.plain_http, ca_file=authority)
            self._open[reference.name] = Repository(reference, access)
        return self._open[reference.name], reference


def source_name(address: str) -> str:
    """The file name of an address; empty for one that ends with a slash, which is a folder."""
    path = urlsplit(address).path
    return "" if path.endswith("/") else PurePosixPath(path).name or "data"


def _single(base: Path) -> Path:
    """A source that is one file is seen as that file, like on the machine that it came from."""
    mark = base / SINGLE
    return base / mark.read_text(encoding="utf-8") if mark.is_file() else base


SINGLE = ".plimsoll-single"
"""Says, in a source's image, which file the source is; without it the source is a directory."""
