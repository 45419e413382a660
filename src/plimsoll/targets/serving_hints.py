"""How a model that is no ONNX file is served: told when it is registered. Its file is never opened for that. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

_PLAIN = 'def predict(inputs): return {"y": model.predict(inputs["x"])}'
_TORCH = 'def predict(inputs): return {"y": model(torch.from_numpy(inputs["x"])).detach().numpy()}'
_BOOSTER = 'def predict(inputs): return {"y": model.predict(xgboost.DMatrix(inputs["x"]))}'
_LINES: dict[str, tuple[str, str, str]] = {
    ".joblib": ("joblib", "joblib.load({path})", _PLAIN),
    ".pkl": ("pickle", 'pickle.load(open({path}, "rb"))', _PLAIN),
    ".pickle": ("pickle", 'pickle.load(open({path}, "rb"))', _PLAIN),
    ".pt": ("torch", "torch.jit.load({path})", _TORCH),
    ".pth": ("torch", "torch.jit.load({path})", _TORCH),
    ".ubj": ("xgboost", "xgboost.Booster(model_file={path})", _BOOSTER),
    ".keras": ("keras", "keras.models.load_model({path})", _PLAIN),
    ".txt": ("lightgbm", "lightgbm.Booster(model_file={path})", _PLAIN),
}
"""By the ending of a file: the module that reads it, how, and what computes with it."""


def without_server(model: str, files: Iterable[str]) -> str:
    """What to write to serve a model none of whose files is ONNX; empty when one is."""
    names = sorted(files)
    if any(name.endswith(".onnx") for name in names):
        return ""
    if any(name.endswith(".gguf") for name in names):
        return (
            f"{names[0]} is a language model: to serve it write «llms: {{writer: {{model: {model}}}}}» (docs/llms.md)"
        )
    known = next((name for name in names if PurePosixPath(name).suffix in _LINES), "")
    named = known or ", ".join(names[:3])
    inputs = "{x: {datatype: FP32, shape: [-1, 4]}}"
    service = f"services: {{{model}: {{model: {model}, run: python serve.py, inputs: {inputs}}}}}"
    script = "load(directory) reads it and predict(inputs) returns a dict of arrays"
    if known:
        module, read, predict = _LINES[PurePosixPath(known).suffix]
        path = f'directory + "/{known}"'
        load = f"def load(directory): global model; model = {read.format(path=path)}"
        script = f"«import {module}», «{load}» and «{predict}»"
    return f"{named} is no ONNX file: to serve it write a serve.py with {script}, and «{service}» (docs/predictors.md)"


def adapter_without_server(adapter: str, base: str) -> str:
    """What to write to serve an adapter."""
    return (
        f"{adapter} is an adapter of {base}: to serve it write "
        f"«llms: {{writer: {{model: {base}, adapter: {adapter}}}}}» (docs/finetuning.md)"
    )
