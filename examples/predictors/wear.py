"""Serves the scikit-learn classifier: the grade of a pump, the hours that it was given, and how sure it is."""

import joblib
import numpy as np


def load(directory):
    global model
    model = joblib.load(f"{directory}/wear.joblib")


def predict(inputs):
    x = inputs["x"]
    probability = model.predict_proba(x)[:, 1]
    return {"grade": np.where(probability > 0.5, "worn", "fine"), "hours": x[:, 0], "probability": probability}
