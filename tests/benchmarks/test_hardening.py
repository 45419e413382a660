"""The benchmark that attacks: its reader, its comparison and its changes are themselves right."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random

import numpy as np
import pytest

from benchmarks.hardening.answers import difference, outputs_of, same, status_problem
from benchmarks.hardening.findings import FILES_OF_A_KIND, Findings
from benchmarks.hardening.hostile_registry import kind_of
from benchmarks.hardening.inference_requests import DATATYPES, chunked, in_pieces, made, packed
from benchmarks.hardening.mutation import mutated, mutated_json
from benchmarks.hardening.reference import KINDS, Read, Refused, Unclear, element, from_bytes, read
from benchmarks.hardening.wire import Answer, NotHttp, next_answer

ONE = {"x": "INT64"}


def body(data: str, datatype: str = "INT64", shape: str = "[1, 1]") -> bytes:
    return f'{{"inputs": [{{"name": "x", "datatype": "{datatype}", "shape": {shape}, "data": {data}}}]}}'.encode()


def test_the_reader_finds_in_every_drawn_request_what_it_was_made_of() -> None:
    random = Random(1)
    for _ in range(300):
        request = made(random)
        found = read(request.body, request.json_length, DATATYPES[request.model])
        assert found.inputs.keys() == request.arrays.keys()
        assert all(same(found.inputs[name], array, exact=0) for name, array in request.arrays.items())


@pytest.mark.parametrize("datatype", list(KINDS))
def test_bytes_of_an_array_are_read_as_the_array(datatype: str) -> None:
    values = ["a", "é"] if datatype == "BYTES" else [0, 1]
    array = np.array([values], dtype=KINDS[datatype])
    assert same(from_bytes(packed(array), datatype, (1, 2)), array, exact=0)


@pytest.mark.parametrize(
    ("value", "datatype"),
    [
        (True, "INT64"), (1.5, "INT32"), (300, "UINT8"), (-1, "UINT64"), (None, "INT8"), (float("nan"), "INT8"),
        ("1", "FP32"), (1e39, "FP32"), (10**400, "FP64"), (70000, "FP16"), (1, "BOOL"), (1, "BYTES"), ("\ud800", "BYTES"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_of_the_datatype_is_refused(value: object, datatype: str) -> None:
    with pytest.raises(Refused):
        element(value, datatype)


def test_large_integers_are_read_without_loss() -> None:
    assert read(body("[9223372036854775807]"), None, ONE).inputs["x"].tolist() == [[2**63 - 1]]
    with pytest.raises(Refused):
        read(body("[9223372036854775808]"), None, ONE)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", body("[1]")[:-1], body("[1, 2]"), body("[1]", "INT32"), body("1"), body("[1]", shape="[1]")],
)
def test_a_body_that_holds_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        read(raw, None, ONE)


def test_what_the_protocol_leaves_open_is_not_judged() -> None:
    for raw in (body("[1]", shape="[1.0, 1]"), b'{"id": "a", "id": "b"}', b"[" * 100_000):
        with pytest.raises(Unclear):
            read(raw, None, ONE)


def answer(data: list[object], **more: object) -> Answer:
    outputs = [{"name": "x_out", "datatype": "INT64", "shape": [1, len(data)], "data": data}]
    return Answer(200, json.dumps({"outputs": outputs, **more}).encode())


def test_an_answer_with_another_value_is_told_from_the_right_one() -> None:
    array = np.array([[2**53 + 1]])
    said = Read({"x": array}, (), "é")
    assert difference(answer([2**53 + 1], id="é"), said, {"x_out": array}) is None
    assert difference(answer([2**53], id="é"), said, {"x_out": array}) == "another value in x_out"
    assert difference(answer([2**53 + 1]), said, {"x_out": array}) == "another id"
    assert difference(answer([2**53 + 1], id="é"), Refused("no JSON"), None) is not None
    assert difference(answer([1]), Unclear("nesting"), None) is None
    assert difference(Answer(200, b"{}"), said, None) is not None


def test_outputs_are_read_from_json_and_from_the_bytes_after_it() -> None:
    array = np.array([[1.5, -2]], dtype=np.float32)
    output = {"name": "y", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    head = json.dumps({"outputs": [output], "id": "1"}).encode()
    found, identity = outputs_of(Answer(200, head + array.tobytes(), len(head)))
    assert identity == "1"
    assert same(found["y"], array, exact=len(head))


def test_only_statuses_that_blame_the_server_are_findings() -> None:
    assert [status for status in (200, 400, 404, 413, 431, 500, 501, 503, 504, 505) if status_problem(status)] == [
        500,
        503,
        504,
    ]


def test_the_same_seed_gives_the_same_changes_and_changes_do_change() -> None:
    raw = made(Random(3)).body
    drawn = [[mutated(Random(seed), raw) for seed in range(100)] for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert sum(each != raw for each in drawn[0]) > 80
    document = {"a": [1, {"b": None}], "c": "x"}
    assert sum(mutated_json(Random(seed), document) != json.dumps(document).encode() for seed in range(100)) > 80
    assert document == {"a": [1, {"b": None}], "c": "x"}


def test_chunks_and_pieces_hold_the_same_bytes() -> None:
    random, raw = Random(2), bytes(range(256)) * 3
    assert b"".join(in_pieces(random, raw)) == raw
    pieces = chunked(random, raw)
    assert b"".join(piece.partition(b"\r\n")[2][:-2] for piece in pieces[:-1]) == raw
    assert pieces[-1].startswith(b"0\r\n")


def test_responses_are_told_apart_and_anything_else_is_no_http() -> None:
    two = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
    first = next_answer(two)
    assert first is not None
    second = next_answer(first[1])
    assert second is not None
    assert (first[0], second[0].status, second[1]) == (Answer(200, b"{}"), 404, b"")
    assert next_answer(two[:20]) is None
    with pytest.raises(NotHttp):
        next_answer(b"<html>\r\n\r\n")


def test_a_registry_answers_by_what_a_request_is_for() -> None:
    assert kind_of(b"GET /v2/a/manifests/1 HTTP/1.1\r\n") == "manifests"
    assert kind_of(b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\n") == "uploads"
    assert kind_of(b"GET /v2/a/blobs/sha256:1 HTTP/1.1\r\n") == "blobs"
    assert kind_of(b"GET /token?scope=/blobs/ HTTP/1.1\r\n") == "token"
    assert kind_of(b"") == "manifests"


def test_a_kind_is_found_once_with_a_few_inputs_that_reproduce_it(tmp_path: Path) -> None:
    findings = Findings(tmp_path)
    for number in range(10):
        findings.add("http", "status 500", b"%d" % number)
    large = findings.add("http", "slow", b"x" * (2 << 20))
    assert findings.kinds("http") == 2
    assert (findings.kinds("grpc"), findings.kinds()) == (0, 2)
    assert len(list(tmp_path.glob("*.bin"))) == FILES_OF_A_KIND
    assert gzip.decompress(Path(large.file).read_bytes()) == b"x" * (2 << 20)
