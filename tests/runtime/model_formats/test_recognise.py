"""A model file is named for what it is by its bytes, and one that is not whole is one clear sentence."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import onnx as onnx_library
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plimsoll.errors import TargetError
from plimsoll.runtime.model_formats.recognise import ModelFile, recognise
from tests.runtime.conftest import linear_model
from tests.runtime.model_files import gguf, onnx, safetensors, text

WHOLE = {"gguf": gguf(), "safetensors": safetensors(), "onnx": onnx()}


def of(folder: Path, content: bytes) -> ModelFile:
    path = folder / "a-file"
    path.write_bytes(content)
    return recognise(path, "the source")


def refused(folder: Path, content: bytes) -> str:
    with pytest.raises(TargetError) as caught:
        of(folder, content)
    assert caught.value.where == "the source"
    assert caught.value.hint
    assert caught.value.lasting
    return caught.value.message


def test_formats_are_known_by_their_bytes_with_licence_and_size(tmp_path: Path) -> None:
    found = of(tmp_path, WHOLE["gguf"])
    assert (found.format, found.licence, found.about) == ("gguf", "apache-2.0", "llama")
    assert found.metrics == {"bytes": float(len(WHOLE["gguf"])), "parameters": 64.0}
    found = of(tmp_path, WHOLE["safetensors"])
    assert (found.format, found.licence, found.metrics["parameters"]) == ("safetensors", "mit", 6.0)
    assert of(tmp_path, WHOLE["onnx"]).about == "by-hand"


def test_a_real_onnx_model_is_one(tmp_path: Path) -> None:
    path = linear_model(tmp_path / "m.bin")
    assert recognise(path, "m").format == "onnx"


def test_a_model_in_several_files_is_told_how_to_become_one(tmp_path: Path) -> None:
    assert "one of 3 parts of a GGUF model" in refused(tmp_path, gguf(parts=3))
    model = onnx_library.load(linear_model(tmp_path / "whole.onnx"))
    onnx_library.save_model(
        model, tmp_path / "m.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    assert "its weights in other files" in refused(tmp_path, (tmp_path / "m.onnx").read_bytes())


@pytest.mark.parametrize("kind", list(WHOLE))
def test_a_file_that_is_cut_off_anywhere_is_said_so(tmp_path: Path, kind: str) -> None:
    whole = WHOLE[kind]
    for size in range(12, len(whole), 7):
        message = refused(tmp_path, whole[:size])
        assert "cut off" in message, (size, message)
    assert f"it has {len(whole) - 1} bytes and needs at least {len(whole)}" in refused(tmp_path, whole[:-1])


@pytest.mark.parametrize("kind", list(WHOLE))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), value=st.binary(min_size=1, max_size=9))
def test_whatever_is_wrong_with_a_header_is_one_sentence(tmp_path: Path, kind: str, place: int, value: bytes) -> None:
    whole = bytearray(WHOLE[kind])
    place %= len(whole)
    whole[place : place + len(value)] = value
    try:
        of(tmp_path, bytes(whole))
    except TargetError as error:
        assert "\n" not in error.message
        assert len(error.message) < 400


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no model that is known"),
        (b"not a model at all" * 9, "no model that is known"),
        (pickle.dumps({"a": 1}), "a Python pickle, which runs code"),
        (b"PK\x03\x04" + b"\0" * 60, "perhaps of PyTorch"),
        (b"\0\0\0\0TFL3" + b"\0" * 60, "a TFLite model"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"GGUF" + struct.pack("<I", 1), "its version is 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 1, 1), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 1), "it is damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 8, 2**40), "it is damaged"),
        (struct.pack("<Q", 30) + b"{} ", "cut off"),
        (struct.pack("<Q", 9) + b'{"a": 12}', "its header cannot be read"),
        (struct.pack("<Q", 90_000) + b"{" * 90_000, "its header cannot be read"),
        (b"\x08\x09" + b"\xff" * 20, "no ONNX file"),
        (b"\x08\x09\x12\x01a", "has no graph and no operator set"),
    ],
)
def test_what_is_no_model_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    assert words in refused(tmp_path, content)
