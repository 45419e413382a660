"""The trees in XGBoost's own JSON (`booster.save_model("model.json")`), read without XGBoost.

Source: XGBoost's documentation, "Introduction to Model IO" and the JSON schema there. `sum_hessian` is the weight of
training in each node, which ONNX has no place for in classifiers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from plimsoll.runtime.explain.trees import Tree
from plimsoll.runtime.tensors import BadTensor

LOGISTIC = {"binary:logistic", "reg:logistic", "binary:logitraw"}
LOGARITHMIC = {"count:poisson", "reg:gamma", "reg:tweedie"}


def read_xgboost(path: Path) -> tuple[tuple[Tree, ...], tuple[float, ...]]:
    """The trees, and the margin that each output begins with. Raises BadTensor when this file cannot be explained."""
    try:
        learner = msgspec.json.decode(path.read_bytes())["learner"]
        booster, parameters = learner["gradient_booster"], learner["learner_model_param"]
        if booster["name"] != "gbtree":
            raise BadTensor(f"boosters of the kind {booster['name']} are not explained, only gbtree")
        outputs = max(1, int(parameters["num_class"])) * max(1, int(parameters.get("num_target", 1)))
        model = booster["model"]
        trees = tuple(_tree(told, output) for told, output in zip(model["trees"], model["tree_info"], strict=True))
        base = _base(parameters["base_score"], learner["objective"]["name"], outputs)
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, BadTensor):
            raise
        raise BadTensor(f"{path.name} beside the model is not XGBoost's: {error}") from error
    return trees, base


def _base(told: str, objective: str, outputs: int) -> tuple[float, ...]:
    """The base score, which stands there as a prediction, as margins."""
    scores = json.loads(told) if told.startswith("[") else [float(told)]
    link = _link(objective)
    margins = [link(float(score)) for score in scores]
    return tuple(margins * outputs if len(margins) == 1 else margins)


def _link(objective: str) -> Callable[[float], float]:
    if objective in LOGISTIC:
        return lambda score: math.log(score / (1 - score))
    if objective in LOGARITHMIC:
        return math.log
    return lambda score: score


def _tree(told: Mapping[str, Any], output: int) -> Tree:
    if told.get("categories") or any(told.get("split_type", ())):
        raise BadTensor("trees with splits by category are not explained")
    if int(told["tree_param"].get("size_leaf_vector", 1) or 1) > 1:
        raise BadTensor("trees with several outputs in a leaf are not explained")
    left = told["left_children"]
    # A leaf's value stands where a split has its bound.
    values = told["split_conditions"]
    return Tree(
        feature=told["split_indices"],
        bound=values,
        left=left,
        right=told["right_children"],
        missing_left=[bool(side) for side in told["default_left"]],
        cover=told["sum_hessian"],
        leaves={node: ((output, values[node]),) for node, child in enumerate(left) if child < 0},
    )
