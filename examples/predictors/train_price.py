"""Trains LightGBM on a pandas table with a column of categories and writes it as a pickle."""

import json
import os
import pathlib

import joblib
import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor

draw = np.random.default_rng(8)
table = pd.DataFrame({"grade": draw.choice(["fine", "worn"], 2000), "hours": draw.uniform(0, 2000, 2000)})
table["grade"] = pd.Categorical(table["grade"], categories=["fine", "worn"])
price = 50 + 0.2 * table["hours"] * (table["grade"] == "worn") + draw.normal(scale=5, size=2000)
model = LGBMRegressor(n_estimators=100, n_jobs=1, verbose=-1).fit(table[:1500], price[:1500])

output = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
joblib.dump(model, output / "price.joblib")
error = float(np.abs(model.predict(table[1500:]) - price[1500:]).mean())
(output / "metrics.json").write_text(json.dumps({"error": error}))
