"""Pickles that would run something, in every way that the format has to name it; none of them is ever loaded."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy
import pytest

from plimsoll.supply import model_files
from plimsoll.supply.model_files import judge_file

PROTO4, PROTO2 = b"\x80\x04", b"\x80\x02"
OS, SYSTEM, ARGUMENT = b"\x8c\x05posix", b"\x8c\x06system", b"\x8c\x02id\x85R."


class Runs:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("id",)


def zipped(**content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, each in content.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), each)
    return packed.getvalue()


def torch_zip(data: bytes) -> bytes:
    return zipped(archive__data_DOT_pkl=data, archive__version=b"3", archive__data__0=b"\x80\x02numbers")


def objects_of_numpy() -> bytes:
    written = io.BytesIO()
    numpy.save(written, numpy.array([Runs()], dtype=object), allow_pickle=True)
    return written.getvalue()


def twice(first: bytes, second: bytes) -> bytes:
    return first + second


HOSTILE: dict[str, bytes] = {
    **{f"protocol {protocol}": pickle.dumps(Runs(), protocol) for protocol in range(6)},
    "global in the words of protocol 0": b"cos\nsystem\n(S'id'\ntR.",
    "global with a trailing part that is broken": b"cos\nsystem\n(S'id'\ntR" + b"\xff\xff",
    "inst": b"(S'id'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'id'\no.",
    "newobj": b"\x80\x02cos\nsystem\nU\x02id\x85\x81.",
    "newobj_ex": PROTO4 + OS + SYSTEM + b"\x93\x8c\x02id\x85}\x92.",
    "stack global": PROTO4 + OS + SYSTEM + b"\x93" + ARGUMENT,
    "stack global through the memo": PROTO4 + OS + b"\x94" + SYSTEM + b"\x940h\x00h\x01\x93" + ARGUMENT,
    "stack global through long names of the memo": PROTO4 + OS + b"r\xff\0\0\x000" + SYSTEM + b"j\xff\0\0\0" + b"\x93.",
    "stack global of a name that is built from a tuple": PROTO4 + OS + SYSTEM + b"\x86\x93" + ARGUMENT,
    "stack global of a name that a call makes": PROTO4 + OS + b"cbuiltins\nstr\n" + SYSTEM + b"\x85R\x93" + ARGUMENT,
    "stack global of bytes": PROTO4 + b"C\x05posix" + b"C\x06system" + b"\x93" + ARGUMENT,
    "stack global of a number": PROTO4 + b"K\x01K\x02\x93.",
    "a memo that is overwritten": PROTO4 + b"\x8c\x04dict\x940" + SYSTEM + b"q\x000" + OS + b"h\x00\x93" + ARGUMENT,
    "duplicated mark": PROTO4 + OS + SYSTEM + b"2\x930" + b"N.",
    "extension 1": b"\x80\x02\x82\x01.",
    "extension 2": b"\x80\x02\x83\x01\x01.",
    "extension 4": b"\x80\x02\x84\x01\x01\0\0.",
    "getattr of a module": b"cbuiltins\ngetattr\n(cos\nsystem\nS'id'\ntR.",
    "import": b"cbuiltins\n__import__\n(S'os'\ntR.",
    "eval": b"cbuiltins\neval\n(S'1'\ntR.",
    "exec in Python 2's name": b"c__builtin__\nexec\n(S'1'\ntR.",
    "a dotted name below an allowed module": PROTO4 + b"\x8c\x05numpy\x8c\x12core.os.system_call\x93.",
    "a name that leads through an allowed class": PROTO4 + b"\x8c\x08builtins\x8c\x0edict.__class__\x93\x93.",
    "runpy": b"crunpy\n_run_code\n.",
    "pickle in a pickle": b"c_pickle\nloads\n(S'x'\ntR.",
    "torch load from bytes": b"ctorch.storage\n_load_from_bytes\n(S'x'\ntR.",
    "operator": b"coperator\nmethodcaller\n(S'system'\ntR.",
    "functools partial": b"cfunctools\npartial\n(cos\nsystem\ntR.",
    "importlib": b"cimportlib\nimport_module\n(S'os'\ntR.",
    "pydoc locate": b"cpydoc\nlocate\n(S'os.system'\ntR.",
    "timeit": b"ctimeit\ntimeit\n(S'1'\ntR.",
    "build on a class itself": b"\x80\x02cnumpy\nndarray\n}U\x08__init__K\x01sb.",
    "a call of what a call made": b"\x80\x02cbuiltins\nset\n)R)R.",
    "a second pickle behind a good one": pickle.dumps({"a": 1}) + pickle.dumps(Runs()),
    "rubbish behind a good one": pickle.dumps({"a": 1}) + b"\xff\xfe\xfd",
    "cut off": pickle.dumps({"a": list(range(100))})[:40],
    "cut off after the call": pickle.dumps(Runs())[:-1],
    "an argument of 2^63 bytes": PROTO4 + b"\x8e" + struct.pack("<Q", 1 << 63),
    "an argument of 4 GB": PROTO4 + b"B\xff\xff\xff\xff",
    "a stack that is empty": PROTO4 + b"\x93R.",
    "a memo that is empty": PROTO4 + b"h\x07.",
    "an unknown instruction": PROTO4 + b"\xa0.",
    "an unknown protocol": b"\x80\x2acos\nsystem\n.",
    "gzip": gzip.compress(pickle.dumps(Runs())),
    "zlib": zlib.compress(pickle.dumps(Runs())),
    "gzip of gzip": gzip.compress(gzip.compress(pickle.dumps(Runs()))),
    "torch": torch_zip(pickle.dumps(Runs())),
    "torch with a name of its own": zipped(weights__data_DOT_pkl=pickle.dumps(Runs())),
    "a zip in a zip": zipped(inner_DOT_zip=torch_zip(pickle.dumps(Runs()))),
    "a pickle of another name in a zip": zipped(readme_DOT_txt=pickle.dumps(Runs())),
    "objects of numpy": objects_of_numpy(),
    "objects of numpy in a zip": zipped(a_DOT_npy=objects_of_numpy()),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_pickle_that_would_run_something_is_unsafe(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(HOSTILE[name])
    found = judge_file(path, "model.pkl")
    assert found.verdict == "unsafe", found
    assert found.reasons


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_found_under_any_name(protocol: int, tmp_path: Path) -> None:
    for name in ("weights.bin", "model.pt", "vocab", "notes.dat"):
        (tmp_path / name).write_bytes(pickle.dumps(Runs(), protocol))
        assert judge_file(tmp_path / name, name).verdict == "unsafe"


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_of_plain_data_and_arrays_is_clean(protocol: int, tmp_path: Path) -> None:
    made = {"weights": numpy.ones((3, 3)), "names": ["a", "b"], "numbers": (1, 2.5, None, True), "set": {1, 2}}
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(made, protocol))
    found = judge_file(path, "model.pkl")
    assert found.verdict == "clean", found
    assert found.notes


def test_the_tensors_of_torch_are_numbers_whatever_they_look_like(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(torch_zip(pickle.dumps({"weights": 1}, 2)))
    assert judge_file(path, "model.pt").verdict == "clean"


def test_a_class_of_the_project_is_refused_by_name_until_it_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x02cshop.scoring\nScorer\n)\x81.")
    found = judge_file(path, "model.pkl")
    assert "'shop.scoring.Scorer'" in found.reasons[0]
    assert judge_file(path, "model.pkl", ["shop.scoring.Scorer"]).verdict == "clean"


def test_an_archive_that_unpacks_to_far_more_than_it_has_is_unsafe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "ALWAYS_ALLOWED", 1 << 20)
    path = tmp_path / "model.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(5 << 20))
    assert "far more bytes" in judge_file(path, "model.npz").reasons[0]


def joblib_array(dtype: bytes, raw: bytes) -> bytes:
    """An array as joblib 1.x writes it: a wrapper, and its bytes right behind the instruction that builds it."""
    state = b"(U\x05shapeK\x02\x85U\x05dtypecnumpy\ndtype\nU" + bytes([len(dtype)]) + dtype + b"K\x00K\x01\x87Ru"
    wrapper = b"\x80\x02}U\x01acjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}" + state + b"b"
    return wrapper + raw


def test_the_arrays_that_joblib_writes_between_instructions_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    path.write_bytes(joblib_array(b"f8", b"." * 16) + b"s.")
    assert judge_file(path, "model.joblib").verdict == "clean"
    path.write_bytes(joblib_array(b"f8", b"." * 16) + b"0cos\nsystem\nU\x02id\x85R.")
    assert "'os.system'" in judge_file(path, "model.joblib").reasons[0]
    path.write_bytes(joblib_array(b"O8", b"") + b"s.")
    assert "objects" in judge_file(path, "model.joblib").reasons[0]
