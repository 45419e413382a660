"""A scikit-learn classifier as a service's function: what a user writes."""

import joblib


def load(directory):
    global model  # noqa: PLW0603 - as a user writes it
    model = joblib.load(f"{directory}/model.joblib")


def predict(inputs):
    return {"predict": model.predict(inputs["x"])}
