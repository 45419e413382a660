import sys

import numpy as np
import onnxmltools
import xgboost as xgb
from onnxmltools.convert.common.data_types import FloatTensorType
from saving import save

out = sys.argv[1]
random = np.random.default_rng(0)
x = random.normal(size=(1500, 8)).astype(np.float32)
x[random.random(x.shape) < 0.1] = np.nan
full = np.nan_to_num(x)
rows = x[:60]

for name, y, parameters in (
    (
        "classes",
        np.digitize(full[:, 0] + full[:, 1] * full[:, 2], [-1, 0, 1]),
        {"objective": "multi:softprob", "num_class": 4},
    ),
    ("two-classes", (full[:, 0] + full[:, 1] > 0).astype(int), {"objective": "binary:logistic"}),
    ("regression", full[:, 0] * 3 + full[:, 1] ** 2, {"objective": "reg:squarederror", "max_depth": 9}),
):
    booster = xgb.train({"max_depth": 5, "seed": 0, **parameters}, xgb.DMatrix(x, y), 30)
    converted = onnxmltools.convert_xgboost(booster, initial_types=[("x", FloatTensorType([None, 8]))], target_opset=15)
    predicted = booster.predict(xgb.DMatrix(rows))
    if name == "two-classes":
        predicted = np.stack([1 - predicted, predicted], axis=1)
    output = "variable" if name == "regression" else "probabilities"
    outputs = {output: predicted.reshape(len(rows), -1)}
    if output == "probabilities":
        outputs["label"] = predicted.argmax(axis=1)
    told = booster.predict(xgb.DMatrix(rows), pred_contribs=True).reshape(len(rows), -1, 9)
    # What `explain` must give: asked for by the test with the request's parameter.
    outputs |= {"contributions": told[:, :, :8], "contributions_base": told[:, :, 8]}
    save(f"{out}/{name}", converted.SerializeToString(), {"x": rows}, outputs)
    booster.save_model(f"{out}/{name}/model.json")
