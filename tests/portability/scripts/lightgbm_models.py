import sys

import lightgbm as lgb
import numpy as np
import onnxmltools
from onnxmltools.convert.common.data_types import FloatTensorType
from saving import save

out = sys.argv[1]
random = np.random.default_rng(0)
x = random.normal(size=(1500, 8)).astype(np.float32)
rows = x[:60]
tensor = [("x", FloatTensorType([None, 8]))]

y = np.digitize(x[:, 0] + x[:, 1] * x[:, 2], [-1, 1])
classes = lgb.LGBMClassifier(n_estimators=30, random_state=0, verbose=-1).fit(x, y)
converted = onnxmltools.convert_lightgbm(classes, initial_types=tensor, zipmap=False, target_opset=15)
save(
    f"{out}/classes",
    converted.SerializeToString(),
    {"x": rows},
    {"label": classes.predict(rows), "probabilities": classes.predict_proba(rows)},
)

regression = lgb.LGBMRegressor(n_estimators=30, random_state=0, verbose=-1).fit(x, x[:, 0] * 3 + x[:, 1])
converted = onnxmltools.convert_lightgbm(regression, initial_types=tensor, target_opset=15)
save(
    f"{out}/regression",
    converted.SerializeToString(),
    {"x": rows},
    {"variable": regression.predict(rows).reshape(-1, 1)},
)
