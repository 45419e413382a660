"""An embedding model that is made here: a vector for each of a few words, the mean of them for a text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WORDS = ("[UNK]", "pump", "bearing", "noise", "oil", "leak", "invoice", "payment", "overdue", "cat", "dog", "animal")
NEAR = {"leak": "oil", "noise": "bearing", "payment": "invoice", "dog": "animal", "cat": "animal"}
"""Words that mean about the same as another."""
DIMENSION = 16


def write_model(directory: Path) -> Path:
    """Write model.onnx and tokenizer.json; returns the path of the model."""
    from tokenizers import Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import WordLevel

    directory.mkdir(parents=True, exist_ok=True)
    made = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(directory / "tokenizer.json"))
    path = directory / "model.onnx"
    onnx.save(_model(), str(path))
    return path


def _vectors() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Words stand at right angles to each other, and near to the one that means the same."""
    drawn = np.eye(len(WORDS), DIMENSION, dtype=np.float32)
    for word, other in NEAR.items():
        drawn[WORDS.index(word)] = 0.9 * drawn[WORDS.index(other)] + 0.4 * drawn[WORDS.index(word)]
    drawn[0] *= 0.01
    return drawn


def _model() -> onnx.ModelProto:
    tokens = ["texts", "tokens"]
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"], axis=0)],
        "embedding",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, tokens),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT64, tokens),
        ],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*tokens, DIMENSION])],
        [numpy_helper.from_array(_vectors(), "table")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
