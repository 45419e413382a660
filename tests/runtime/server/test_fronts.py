"""Fronts over one data plane: their tables, and a third one that exists only here."""

from __future__ import annotations

import asyncio
import inspect
import json
import weakref
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from plimsoll.runtime.server.catalog import Catalog
from plimsoll.runtime.server.connection import Connection
from plimsoll.runtime.server.data_plane import DataPlane, Limits
from plimsoll.runtime.server.fronts import table
from plimsoll.runtime.server.fronts.mount import Mount
from plimsoll.runtime.server.fronts.open_inference_http import front as open_inference_http
from plimsoll.runtime.server.fronts.open_inference_http.call import HttpCall
from plimsoll.runtime.server.heads import Chunks, Endpoint, Head, read_head
from plimsoll.runtime.server.inference import InferenceCall
from plimsoll.runtime.server.listening import Listening
from plimsoll.runtime.server.observers import Observer, Observers
from plimsoll.runtime.server.observers import Reply as ObserverReply
from plimsoll.runtime.server.refusals import (
    BadInput,
    Busy,
    DeadlinePassed,
    Defect,
    NotFound,
    NotReady,
    Refusal,
    TooLarge,
    Unservable,
)
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.responses import Buffer, Reply, Response
from plimsoll.runtime.server.served import Served
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.runtime.tensors import Array, BadTensor
from tests.runtime.conftest import linear_model
from tests.runtime.server.direct_call import plane_of

TEXT = b"text/plain"


class LinesCall(InferenceCall[Response]):
    """Numbers in a line of text, scores in a line of text."""

    def __init__(self, model: str, head: Head, client: str, body: Buffer) -> None:
        super().__init__(model, None, head.headers, client)
        self._body = body

    def read(self, served: Served) -> InferenceRequest:
        assert served.fronts[LinesFront] == "prepared"
        try:
            row = np.array([bytes(self._body).split()], dtype=np.float32)
        except ValueError as error:
            raise BadTensor("these are not numbers") from error
        served.model.check("x", "FP32", row.shape)
        return InferenceRequest(inputs={"x": row}, outputs=["score"])

    def write(self, results: dict[str, Array]) -> Response:
        return Response(200, b" ".join(b"%g" % value for value in results["score"].ravel()), TEXT)


class LinesFront:
    """A third front: `POST /lines/<model>`, with statuses and a shape of errors of its own."""

    root = "/lines"
    statuses: ClassVar[dict[type[Refusal], int]] = {
        BadInput: 422,
        NotFound: 404,
        NotReady: 503,
        TooLarge: 413,
        Busy: 429,
        DeadlinePassed: 408,
        Unservable: 409,
        Defect: 500,
    }

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    def endpoint(self, head: Head) -> Endpoint | None:
        _, _, model = head.path.partition("/lines/")
        return Endpoint(partial(self._infer, model), self, model) if model else None

    def refused(self, refusal: Refusal) -> Response:
        return Response(self.statuses[type(refusal)], f"no: {refusal}".encode(), TEXT)

    def prepare(self, served: Served) -> None:
        served.fronts[LinesFront] = "prepared"

    async def _infer(self, model: str, head: Head, body: Buffer, client: str) -> Response:
        if body == b"crash":
            raise RuntimeError("a defect of this front")
        try:
            return await self._plane.infer(LinesCall(model, head, client, body))
        except Refusal as refusal:
            return self.refused(refusal)


class Noting(Observer):
    paths = ("/notes",)

    def respond(self, method: str, path: str, body: bytes) -> ObserverReply:
        return ObserverReply(status=202, body=body)


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mount:
    """The server's own table with a third line."""
    monkeypatch.setitem(table.HTTP_FRONTS, "lines", LinesFront)
    file = ServiceFile(models=(ModelFile(name="m", version="3", path=str(linear_model(tmp_path / "m.onnx"))),))
    catalog = Catalog(lambda: file)
    mount = table.mount(DataPlane(catalog, Observers([Noting()]), Limits(body=1000)))
    catalog.load_first()
    return mount


def head_of(method: str, path: str) -> Head:
    return read_head(f"{method} {path} HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n".encode())


def ask(mounted: Mount, method: str, path: str, body: bytes = b"") -> Response:
    async def response() -> Response:
        reply: Reply = mounted.respond(head_of(method, path), body, "here")
        found = await reply if inspect.isawaitable(reply) else reply
        assert isinstance(found, Response)
        return found

    return asyncio.run(response())


ROW = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [3, 1]}]}
INFER = "/v2/models/m/infer"


def test_a_third_front_is_one_line_of_the_table_and_answers_beside_the_others(mounted: Mount) -> None:
    lines = ask(mounted, "POST", "/lines/m", b"3 1")
    open_inference = ask(mounted, "POST", INFER, json.dumps(ROW).encode())

    assert (lines.status, lines.body, lines.content_type) == (200, b"1", TEXT)
    assert isinstance(open_inference.body, bytes)
    assert json.loads(open_inference.body)["outputs"][0]["data"] == [1.0]


def test_requests_of_all_fronts_are_counted_together(mounted: Mount) -> None:
    ask(mounted, "POST", "/lines/m", b"3 1")
    ask(mounted, "POST", "/lines/m", b"three")
    ask(mounted, "POST", INFER, json.dumps(ROW).encode())
    page = ask(mounted, "GET", "/metrics").body

    assert isinstance(page, bytes)
    assert b'plimsoll_requests_total{code="200",model="m",version="3"} 2.0' in page
    assert b'plimsoll_requests_total{code="400",model="m",version="3"} 1.0' in page


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/lines/m", b"three", 422, b"no: these are not numbers"),
        ("/lines/z", b"3 1", 404, b"no: there is no model 'z'; this server has 'm'"),
        (INFER, b"three", 400, b'{"error":"the request is not an inference request in JSON: '),
        ("/v2/models/z/infer", b"", 404, b"{\"error\":\"there is no model 'z'; this server has 'm'\"}"),
    ],
)
def test_each_front_refuses_with_its_own_status_and_shape(
    mounted: Mount, path: str, body: bytes, status: int, says: bytes
) -> None:
    response = ask(mounted, "POST", path, body)

    assert response.status == status
    assert isinstance(response.body, bytes)
    assert response.body.startswith(says)


def test_a_body_that_is_too_large_is_refused_in_the_shape_of_its_front(mounted: Mount) -> None:
    with pytest.raises(TooLarge) as refused:
        Chunks(mounted.largest(head_of("POST", INFER))).feed(bytearray(b"3e9\r\n"))

    lines = mounted.refuse(head_of("POST", "/lines/m"), refused.value, "")
    open_inference = mounted.refuse(head_of("POST", INFER), refused.value, "")
    assert (lines.status, lines.body) == (413, b"no: the body is larger than 1000 bytes")
    assert (open_inference.status, open_inference.body) == (413, b'{"error":"the body is larger than 1000 bytes"}')


def test_a_path_of_no_front_is_answered_with_those_that_there_are(mounted: Mount) -> None:
    response = ask(mounted, "GET", "/v3")

    assert response.status == 404
    assert isinstance(response.body, bytes)
    assert json.loads(response.body)["error"] == (
        "there is nothing at this path; the paths of models start with /v2/models or /v1 or /v2/indexes or /lines"
    )


def test_an_inference_of_any_front_is_under_way_for_its_model(mounted: Mount) -> None:
    models = [mounted.model_of(head_of("POST", path)) for path in ("/lines/m", INFER, "/metrics", "/v2", "/nothing")]

    assert models == ["m", "m", "", "", ""]


def test_observers_answer_their_own_paths_whatever_the_fronts_are(mounted: Mount) -> None:
    response = ask(mounted, "POST", "/notes/1", b"late")

    assert (response.status, response.body) == (202, b"late")


def test_a_defect_of_a_front_is_answered_and_logged(mounted: Mount, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(head: Head, body: Buffer, client: str) -> Response:
        raise RuntimeError("a defect of a front")

    head = head_of("POST", "/lines/m")
    head.endpoint = Endpoint(broken, LinesFront(DataPlane(Catalog(lambda: ServiceFile(models=())))))
    response = mounted.respond(head, b"", "here")

    assert isinstance(response, Response)
    assert (response.status, response.body) == (500, b"no: this is a defect of the server; its log has the details")
    assert "RuntimeError: a defect of a front" in capsys.readouterr().err


def test_a_defect_while_a_client_waits_is_answered_in_the_shape_of_its_front(mounted: Mount) -> None:
    async def answer() -> bytes:
        loop = asyncio.get_running_loop()
        listening = Listening(mounted)
        listening.loop = loop
        server = await loop.create_server(lambda: Connection(listening), "127.0.0.1", 0)
        async with server, asyncio.timeout(30):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"POST /lines/m HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 5\r\n\r\ncrash")
            raw = await reader.read()
            writer.close()
            await writer.wait_closed()
            return raw

    raw = asyncio.run(answer())

    assert raw.startswith(b"HTTP/1.1 500 ")
    assert raw.endswith(b"\r\n\r\nno: this is a defect of the server; its log has the details")


def test_a_request_that_has_been_read_keeps_no_body_while_it_waits(tmp_path: Path) -> None:
    served = plane_of(linear_model(tmp_path / "m.onnx")).catalog.choose("m", None, {})
    memory = np.frombuffer(json.dumps(ROW).encode(), np.uint8).copy()
    kept = weakref.ref(memory)
    call = HttpCall("m", None, {}, "here", memory.data, None)

    request = call.read(served)
    del memory

    assert request.inputs["x"].tolist() == [[3.0, 1.0]]
    assert kept() is None


def test_the_table_of_the_http_front_has_every_refusal() -> None:
    assert set(open_inference_http.STATUSES) == set(Refusal.__subclasses__())


def test_the_table_of_the_grpc_front_has_every_refusal() -> None:
    pytest.importorskip("grpc", reason="grpcio is not installed: pip install plimsoll[grpc]")
    from plimsoll.runtime.server.fronts.open_inference_grpc import server

    assert set(server.STATUSES) == set(Refusal.__subclasses__())


def test_the_fronts_do_not_import_each_other() -> None:
    folder = Path(table.__file__).parent
    for own, other in (
        ("open_inference_http", "open_inference_grpc"),
        ("open_inference_grpc", "open_inference_http"),
    ):
        files = list((folder / own).glob("*.py"))
        assert files
        assert [file.name for file in files if other in file.read_text()] == []


def test_the_data_plane_knows_no_transport() -> None:
    """It is imported alone: neither HTTP nor gRPC nor a front comes with it."""
    import subprocess
    import sys

    code = (
        "import sys, plimsoll.runtime.server.data_plane\n"
        "print([m for m in sys.modules if m.startswith(('httptools', 'grpc', 'google.protobuf'))"
        " or m.startswith('plimsoll.runtime.server.') and m.rpartition('.')[2]"
        " in ('heads', 'responses', 'connection', 'listening', 'fronts', 'protocol')])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True)
    assert ended.stdout.strip() == "[]"
