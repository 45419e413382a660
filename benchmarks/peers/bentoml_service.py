"""BentoML's service with one ONNX model, which MODEL in the environment names."""

from __future__ import annotations

import os
import typing

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1)
class Onnx:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]

    @bentoml.api(route="/v2/models/m/infer")
    def infer(self, inputs: list[dict[str, typing.Any]]) -> dict[str, typing.Any]:
        arrays = {t["name"]: np.array(t["data"], dtype=np.float32).reshape(t["shape"]) for t in inputs}
        results = self.session.run(self.names, arrays)
        outputs = [
            {"name": name, "datatype": "FP32", "shape": list(array.shape), "data": array.ravel().tolist()}
            for name, array in zip(self.names, results, strict=True)
        ]
        return {"model_name": "m", "outputs": outputs}
