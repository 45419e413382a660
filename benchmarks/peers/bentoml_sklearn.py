"""BentoML's services with a scikit-learn classifier, as its documentation writes them: call by call, and batched."""

from __future__ import annotations

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1)
class Single:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(route="/v2/models/m/infer")
    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.model.predict(x)


@bentoml.service(workers=1)
class Batched:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(route="/v2/models/m/infer", batchable=True, max_batch_size=64, max_latency_ms=1000)
    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.model.predict(x)
