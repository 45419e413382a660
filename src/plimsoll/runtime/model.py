"""An ONNX model, loaded once and run often. The server and the batch scorer share it, so their predictions agree."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from plimsoll.errors import MissingExtra, TargetError
from plimsoll.files import open_regular
from plimsoll.runtime.specs import ModelSpec, TensorSpec
from plimsoll.runtime.tensors import Array, BadTensor
from plimsoll.runtime.unaltered import RESTORE, require_unaltered

if TYPE_CHECKING:
    from onnxruntime import NodeArg

DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
"""Maps ONNX Runtime's type names to the protocol's datatypes."""


class RunOptions(Protocol):
    """Options of one run; `terminate` set to true ends it at the model's next operator."""

    terminate: bool


class Model(Protocol):
    """What is known of a version that a server has, whatever computes it."""

    path: Path
    digest: str
    spec: ModelSpec

    def check(self, name: str, datatype: str, shape: Sequence[int]) -> None:
        """Raise BadTensor unless the model has an input with this name, datatype and shape."""


def check_input(inputs: Mapping[str, TensorSpec], name: str, datatype: str, shape: Sequence[int]) -> None:
    """Raise BadTensor unless there is an input with this name, datatype and shape."""
    wanted = inputs.get(name)
    if wanted is None:
        raise BadTensor(f"there is no input '{name[:80]}'; the model has {', '.join(inputs)}")
    if datatype != wanted.datatype:
        raise BadTensor(f"input '{name}' is {wanted.datatype}, not {datatype[:20]}")
    fits = len(shape) == len(wanted.shape) and all(
        want in (-1, have) for want, have in zip(wanted.shape, shape, strict=True)
    )
    if not fits:
        raise BadTensor(f"input '{name}' has the shape {list(wanted.shape)}, not {list(shape)}")


def require_inputs(inputs: Mapping[str, TensorSpec], given: Mapping[str, Array]) -> None:
    """Raise BadTensor when an input is missing; those that are there were checked before."""
    if len(given) != len(inputs):
        missing = [name for name in inputs if name not in given]
        raise BadTensor(f"the input {', '.join(missing)} is missing")


def require_outputs(known: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise BadTensor for an output that the model does not have."""
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise BadTensor(f"there is no output '{unknown[0][:80]}'; the model has {', '.join(known)}")


class OnnxModel:
    """An ONNX Runtime session with its inputs and outputs. Several threads may run it at the same time."""

    def __init__(
        self, path: Path, name: str, *, threads: int = 1, digest: str = "", files: Mapping[str, str] | None = None
    ) -> None:
        """Load a model file. `digest` identifies the model; the default is the SHA-256 of the file.

        `files` are digests that the files of the model must have, by path. Raises TargetError when the model cannot be
        served or has other files, MissingExtra without ONNX Runtime.
        """
        self.path = path
        self._files = dict(files or {})
        content = self._read()
        self.digest = digest or "sha256:" + hashlib.sha256(content).hexdigest()
        """`sha256:…` of the version in the registry, or of the file when it is not from a registry."""
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtra("serve", "running a model") from None
        onnxruntime.set_default_logger_severity(3)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads would burn the cores that other workers and requests need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # What was read is what is loaded. Tensors in files of their own are looked for beside the model's.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors have no common base class below Exception
            raise TargetError(f"the model cannot be loaded: {str(error)[:500]}", where=str(path)) from error
        properties = self._session.get_modelmeta().custom_metadata_map
        self.spec = ModelSpec(
            name=name,
            inputs=tuple(_spec(tensor, path) for tensor in self._session.get_inputs()),
            outputs=tuple(_spec(tensor, path) for tensor in self._session.get_outputs()),
            features=_metadata_list(properties, "features", path),
            classes=_metadata_list(properties, "classes", path),
        )
        self._inputs = {tensor.name: tensor for tensor in self.spec.inputs}
        self._outputs = [tensor.name for tensor in self.spec.outputs]
        # The public `run` asks the session for its input names each time, which doubles the cost of a small model.
        # Callers have already made its checks.
        self._run = getattr(self._session, "_sess", self._session).run

    @property
    def session(self) -> Any:  # Any: the library is imported only where a model is loaded
        """What ONNX Runtime has opened, for who runs it with inputs of his own making."""
        return self._session

    @property
    def files(self) -> Mapping[str, str]:
        """The digests that its files must have, by path."""
        return self._files

    def require_unaltered(self) -> None:
        """Raise TargetError unless every file of the model has its digest."""
        require_unaltered(self._files)

    def _read(self) -> bytes:
        """The bytes of the model file, after all files have been checked. Raises TargetError."""
        self.require_unaltered()
        try:
            with open_regular(self.path) as file:
                content = file.read()
        except OSError as error:
            raise TargetError(f"the model cannot be loaded: {error.strerror}", where=str(self.path)) from error
        expected = self._files.get(str(self.path), "")
        if expected and expected != "sha256:" + hashlib.sha256(content).hexdigest():
            raise TargetError("the model was altered while it was read", where=str(self.path), hint=RESTORE)
        return content

    def check(self, name: str, datatype: str, shape: Sequence[int]) -> None:
        """Raise BadTensor unless the model has an input with this name, datatype and shape."""
        check_input(self._inputs, name, datatype, shape)

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] = (), options: RunOptions | None = None
    ) -> dict[str, Array]:
        """Run the model. Returns arrays by output name. Raises BadTensor when inputs are missing or the model fails.

        `options` come from `run_options`. Setting their `terminate` ends the run early, with BadTensor.
        """
        if len(inputs) != len(self._inputs):
            require_inputs(self._inputs, inputs)
        if outputs:
            require_outputs(self._outputs, outputs)
        wanted = outputs or self._outputs
        try:
            return dict(zip(wanted, self._run(wanted, inputs, options), strict=True))
        except Exception as error:  # ONNX Runtime's errors have no common base class below Exception
            raise BadTensor(f"the model cannot compute with these inputs: {str(error)[:500]}") from error

    def run_options(self) -> RunOptions:
        """New options for one run."""
        import onnxruntime

        options: RunOptions = onnxruntime.RunOptions()
        return options


def _spec(tensor: NodeArg, path: Path) -> TensorSpec:
    if tensor.type not in DATATYPES:
        raise _unserved(tensor, path)
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in tensor.shape)
    return TensorSpec(name=tensor.name, datatype=DATATYPES[tensor.type], shape=shape)


def _unserved(tensor: NodeArg, path: Path) -> TargetError:
    """The refusal of a model with a tensor that has no datatype here, or with something else than tensors."""
    name = f"'{tensor.name}' of the model"
    if not tensor.type.startswith("tensor("):
        hint = "export plain tensors only; for classifiers switch ZipMap off (options={'zipmap': False})"
        return TargetError(f"{name} has the type {tensor.type}, which is not a tensor", where=str(path), hint=hint)
    element = tensor.type.removeprefix("tensor(").removesuffix(")")
    hint = (
        "cast it inside the model, so that its inputs and outputs are float, float16, double, integers, bool or string"
    )
    return TargetError(f"{name} is a tensor of {element}, which is not served", where=str(path), hint=hint)


def _metadata_list(properties: Mapping[str, str], key: str, path: Path) -> tuple[str, ...]:
    """Read a JSON list of words from the model's metadata."""
    try:
        words = json.loads(properties.get(key, "[]"))
    except (ValueError, RecursionError):
        words = None
    if not isinstance(words, list):
        raise TargetError(f"the model's metadata '{key}' is not a JSON list", where=str(path))
    return tuple(map(str, words))
