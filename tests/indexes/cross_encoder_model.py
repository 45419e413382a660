"""A cross-encoder that is made here: the logit of a pair is the number of words that both have, less one."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.indexes.embedding_model import WORDS


def write_cross_encoder(directory: Path, answers: int = 1) -> Path:
    """Write model.onnx and tokenizer.json; with two `answers` the model gives numbers for "no" and for "yes"."""
    from tokenizers import Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import WordLevel
    from tokenizers.processors import TemplateProcessing

    directory.mkdir(parents=True, exist_ok=True)
    words = ("[PAD]", "[SEP]", *WORDS)
    made = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = TemplateProcessing(single="$A", pair="$A [SEP] $B:1", special_tokens=[("[SEP]", 1)])
    made.save(str(directory / "tokenizer.json"))
    path = directory / "model.onnx"
    onnx.save(_model(answers), str(path))
    return path


def _model(answers: int) -> onnx.ModelProto:
    import numpy as np

    def node(kind: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
        return helper.make_node(kind, inputs, [output], **attributes)

    nodes = [
        # 1 where a token of the question (type 0) and one of the passage (type 1) are the same known word.
        node("Unsqueeze", ["input_ids", "last"], "down"),
        node("Unsqueeze", ["input_ids", "middle"], "across"),
        node("Equal", ["down", "across"], "equal"),
        node("Cast", ["equal"], "same", to=TensorProto.FLOAT),
        node("Cast", ["token_type_ids"], "second", to=TensorProto.FLOAT),
        node("Greater", ["input_ids", "unknown"], "is_known"),
        node("Cast", ["is_known"], "known", to=TensorProto.FLOAT),
        node("Sub", ["one", "second"], "first"),
        node("Mul", ["first", "known"], "asked"),
        node("Unsqueeze", ["asked", "last"], "asked_down"),
        node("Unsqueeze", ["second", "middle"], "second_across"),
        node("Mul", ["same", "asked_down"], "of_question"),
        node("Mul", ["of_question", "second_across"], "of_both"),
        node("ReduceSum", ["of_both", "inner"], "count", keepdims=0),
        node("Sub", ["count", "one"], "less"),
        node("Unsqueeze", ["less", "end"], "column"),
        node("Mul", ["column", "signs"], "logits"),
    ]
    signs = [[1.0]] if answers == 1 else [[-0.5, 0.5]]
    constants = [
        numpy_helper.from_array(np.array([2], dtype=np.int64), "last"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "middle"),
        numpy_helper.from_array(np.array([1, 2], dtype=np.int64), "inner"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "end"),
        numpy_helper.from_array(np.int64(2), "unknown"),
        numpy_helper.from_array(np.float32(1), "one"),
        numpy_helper.from_array(np.array(signs, dtype=np.float32), "signs"),
    ]
    tokens = ["texts", "tokens"]
    graph = helper.make_graph(
        nodes,
        "cross-encoder",
        [helper.make_tensor_value_info(name, TensorProto.INT64, tokens) for name in ("input_ids", "token_type_ids")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["texts", len(signs[0])])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
