"""Trains a scikit-learn classifier of worn pumps and writes it as a pickle."""

import json
import os
import pathlib

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

draw = np.random.default_rng(7)
hours = draw.uniform(0, 2000, 2000)
x = np.column_stack([hours, draw.normal(size=(2000, 3))])
worn = hours / 1000 + x[:, 1] + draw.normal(scale=0.2, size=2000) > 1
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x[:1500], worn[:1500])

output = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
joblib.dump(model, output / "wear.joblib")
(output / "metrics.json").write_text(json.dumps({"accuracy": model.score(x[1500:], worn[1500:])}))
