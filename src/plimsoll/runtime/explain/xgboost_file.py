"""Read the trees of XGBoost's own JSON (`booster.save_model("model.json")`), without XGBoost.

Source: XGBoost's documentation, "Introduction to Model IO" and the JSON schema there. `sum_hessian` is the training
weight of each node, which ONNX classifiers cannot store.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.runtime.explain.trees import Tree
from plimsoll.runtime.tensors import BadTensor

LOGISTIC = {"binary:logistic", "reg:logistic", "binary:logitraw"}
LOGARITHMIC = {"count:poisson", "reg:gamma", "reg:tweedie"}


def read_xgboost(path: Path) -> tuple[tuple[Tree, ...], tuple[float, ...]]:
    """Read the trees and the base margin of each output. Raises BadTensor when the file cannot be explained."""
    try:
        learner = msgspec.json.decode(path.read_bytes())["learner"]
        booster, parameters = learner["gradient_booster"], learner["learner_model_param"]
        if booster["name"] != "gbtree":
            raise BadTensor(f"explanations support only gbtree boosters, not {booster['name']}")
        outputs = max(1, int(parameters["num_class"])) * max(1, int(parameters.get("num_target", 1)))
        model = booster["model"]
        trees = tuple(
            _tree(encoded, output) for encoded, output in zip(model["trees"], model["tree_info"], strict=True)
        )
        base = _base(parameters["base_score"], learner["objective"]["name"], outputs)
    except (*UNREADABLE, OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, BadTensor):
            raise
        raise BadTensor(f"cannot read {path.name} beside the model as XGBoost's JSON: {error}") from error
    return trees, base


def _base(text: str, objective: str, outputs: int) -> tuple[float, ...]:
    """Convert the base score, which the file has as a prediction, to margins."""
    scores = json.loads(text) if text.startswith("[") else [float(text)]
    link = _link(objective)
    margins = [link(float(score)) for score in scores]
    return tuple(margins * outputs if len(margins) == 1 else margins)


def _link(objective: str) -> Callable[[float], float]:
    if objective in LOGISTIC:
        return lambda score: math.log(score / (1 - score))
    if objective in LOGARITHMIC:
        return math.log
    return lambda score: score


def _tree(encoded: Mapping[str, Any], output: int) -> Tree:
    if encoded.get("categories") or any(encoded.get("split_type", ())):
        raise BadTensor("explanations do not support categorical splits")
    if int(encoded["tree_param"].get("size_leaf_vector", 1) or 1) > 1:
        raise BadTensor("explanations do not support leaves with several outputs")
    left = encoded["left_children"]
    # The field has the bound of a split and the value of a leaf.
    values = encoded["split_conditions"]
    return Tree(
        feature=encoded["split_indices"],
        bound=values,
        left=left,
        right=encoded["right_children"],
        missing_left=[bool(side) for side in encoded["default_left"]],
        cover=encoded["sum_hessian"],
        leaves={node: ((output, values[node]),) for node, child in enumerate(left) if child < 0},
    )
