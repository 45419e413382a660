from __future__ import annotations

import json
import struct
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from plimsoll.supply.model_files import judge_directory, judge_file


def model(domain: str = "", location: str = "") -> bytes:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    if location:
        weights.ClearField("float_data")
        weights.data_location = TensorProto.EXTERNAL
        weights.external_data.add(key="location", value=location)
    node = helper.make_node("Add" if not domain else "Own", ["x", "w"], ["y"], domain=domain)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [weights])
    sets = [helper.make_opsetid("", 20), *([helper.make_opsetid(domain, 1)] if domain else [])]
    content: bytes = helper.make_model(graph, opset_imports=sets).SerializeToString()
    return content


PROGRAMS = {
    "weights.bin": b"\x7fELF\x02\x01\x01" + bytes(60),
    "tokenizer.model": b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0",
    "extra.dat": b"\xcf\xfa\xed\xfe" + bytes(30),
    "readme.txt": b"#!/bin/sh\nid\n",
    "modeling_own.py": b"print(1)",
    "install.bat": b"@echo off",
    "plugin.so": b"anything",
    "run.wasm": b"\0asm\x01\0\0\0",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_among_the_files_of_a_model_is_unsafe(name: str, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / name).write_bytes(PROGRAMS[name])
    (found,) = judge_directory(tmp_path)
    assert (found.what, found.verdict) == (f"deep/{name}", "unsafe")


def judged(path: Path, content: bytes) -> tuple[str, str]:
    path.write_bytes(content)
    found = judge_file(path, path.name)
    return found.verdict, " ".join((*found.reasons, *found.notes))


def test_an_onnx_model_of_standard_operators_is_clean(tmp_path: Path) -> None:
    assert judged(tmp_path / "model.onnx", model()) == ("clean", "")


def test_operators_of_a_library_of_its_own_are_unsafe(tmp_path: Path) -> None:
    verdict, words = judged(tmp_path / "model.onnx", model(domain="evil.ops"))
    assert verdict == "unsafe"
    assert "'evil.ops'" in words


@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "a/../../b", "C:\\x", "link/passwd"])
def test_weights_outside_of_the_directory_are_unsafe(location: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    verdict, words = judged(tmp_path / "model.onnx", model(location=location))
    assert verdict == "unsafe"
    assert "outside" in words


def test_weights_beside_the_model_are_clean_and_those_that_are_missing_are_unknown(tmp_path: Path) -> None:
    assert judged(tmp_path / "model.onnx", model(location="weights.data"))[0] == "unknown"
    (tmp_path / "weights.data").write_bytes(bytes(4))
    assert judged(tmp_path / "model.onnx", model(location="weights.data"))[0] == "clean"


def test_a_damaged_onnx_model_is_never_clean(tmp_path: Path) -> None:
    whole = model()
    for length in range(1, len(whole) - 1, 7):
        assert judged(tmp_path / "model.onnx", whole[:length])[0] != "clean"
    assert onnx.load_from_string(whole)


def gguf(template: str) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    pair = text("tokenizer.chat_template") + struct.pack("<I", 8) + text(template)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair


def test_a_chat_template_is_noted_and_one_that_reaches_for_python_is_unsafe(tmp_path: Path) -> None:
    verdict, words = judged(tmp_path / "m.gguf", gguf("{{ messages[0].content }}"))
    assert verdict == "clean"
    assert "chat template" in words
    assert judged(tmp_path / "m.gguf", gguf("{{ x.__class__.__mro__ }}"))[0] == "unsafe"
    assert judged(tmp_path / "m.gguf", gguf("{{ x|attr('\\x5f\\x5fclass') }}"))[0] == "unsafe"


def test_classes_of_a_repository_and_layers_of_code_are_unsafe(tmp_path: Path) -> None:
    remote = {"auto_map": {"AutoModel": "someone/model--modeling.Own"}}
    assert judged(tmp_path / "config.json", json.dumps(remote).encode())[0] == "unsafe"
    keras = {"layers": [{"class_name": "Lambda", "config": {}}]}
    assert judged(tmp_path / "config.json", json.dumps(keras).encode())[0] == "unsafe"
    assert judged(tmp_path / "config.json", b'{"hidden_size": 4}')[0] == "clean"


def test_what_is_not_known_is_unknown_and_not_clean(tmp_path: Path) -> None:
    assert judged(tmp_path / "model.h5", b"\x89HDF\r\n\x1a\n" + bytes(50))[0] == "unknown"
    assert judged(tmp_path / "model.xyz", bytes(range(200, 256)))[0] == "unknown"


def test_a_link_or_a_pipe_is_not_followed(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.pkl")
    (found,) = judge_directory(tmp_path)
    assert found.verdict == "unknown"
