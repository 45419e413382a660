"""The user's own code behind the server: functions in processes, and everything that they may do wrong."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from plimsoll.errors import TargetError
from plimsoll.runtime.server.data_plane import DataPlane, Limits
from plimsoll.runtime.server.metrics import page
from plimsoll.runtime.server.predictors.process import require_unchanged
from plimsoll.runtime.server.refusals import BadInput, DeadlinePassed, Failed, NotReady, Refusal
from plimsoll.runtime.server.service_file import Example, ModelFile, OwnCode, ServiceFile
from plimsoll.runtime.specs import TensorSpec
from plimsoll.runtime.tensors import Array
from tests.runtime.conftest import linear_model
from tests.runtime.server.direct_call import DirectCall, plane_of
from tests.servers import left_in

X = TensorSpec(name="x", datatype="FP64", shape=(-1, 2))
SUM = "def predict(inputs):\n    return {'y': inputs['x'].sum(axis=1)}\n"


def code(directory: Path, script: str, *, inputs: tuple[TensorSpec, ...] = (X,), **more: object) -> OwnCode:
    """A script as the code of a service."""
    (directory / "serve.py").write_text(script)
    argv = (sys.executable, "serve.py")
    return OwnCode(argv=argv, script="serve.py", directory=str(directory), inputs=inputs, **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def serving(own: OwnCode | ModelFile, **limits: float) -> Iterator[DataPlane]:
    """A data plane with the code as version 1 of `m`."""
    file = own if isinstance(own, ModelFile) else ModelFile(name="m", version="1", code=own)
    plane = plane_of(lambda: ServiceFile(models=(file,)), limits=Limits(**limits))  # type: ignore[arg-type]
    try:
        yield plane
    finally:
        plane.catalog.close()


async def ask(plane: DataPlane, *row: float) -> Array | Refusal:
    """The answer for one row, or the refusal."""
    try:
        return (await plane.infer(DirectCall({"x": np.array([row], np.float64)})))["y"]
    except Refusal as refusal:
        return refusal


def together(plane: DataPlane, *asked: Callable[[], Awaitable[Array | Refusal]]) -> list[Array | Refusal]:
    async def all_of_them() -> list[Array | Refusal]:
        return list(await asyncio.gather(*(each() for each in asked)))

    return asyncio.run(all_of_them())


def answers(plane: DataPlane, *rows: tuple[float, float]) -> list[Array | Refusal]:
    return together(plane, *(lambda row=row: ask(plane, *row) for row in rows))


def test_a_function_answers_with_outputs_that_it_never_declared(tmp_path: Path) -> None:
    with serving(code(tmp_path, SUM)) as plane:
        spec = plane.metadata("m", None).spec
        assert spec.outputs == (TensorSpec(name="y", datatype="FP64", shape=(-1,)),)
        (found,) = answers(plane, (1, 2))
        assert isinstance(found, np.ndarray)
        assert found.tolist() == [3.0]


def test_calls_that_wait_are_computed_together_and_each_gets_its_own_rows(tmp_path: Path) -> None:
    script = "import time\ndef predict(inputs):\n    time.sleep(0.05)\n    return {'y': inputs['x'].sum(axis=1)}\n"
    with serving(code(tmp_path, script)) as plane:
        calls = [DirectCall({"x": np.array([[n, 1.0]])}) for n in range(20)]

        async def all_of_them() -> list[dict[str, Array]]:
            return list(await asyncio.gather(*(plane.infer(call) for call in calls)))

        found = asyncio.run(all_of_them())
        assert [each["y"].tolist() for each in found] == [[n + 1.0] for n in range(20)]
        assert max(call.batch for call in calls) > 1


def test_calls_of_a_function_that_mixes_rows_are_computed_alone(tmp_path: Path) -> None:
    script = "def predict(inputs):\n    x = inputs['x']\n    return {'y': (x - x.mean(axis=0)).sum(axis=1)}\n"
    with serving(code(tmp_path, script)) as plane:
        found = answers(plane, *((n, 1.0) for n in range(8)))
        assert [each.tolist() for each in found if isinstance(each, np.ndarray)] == [[0.0]] * 8


def test_texts_go_in_and_out(tmp_path: Path) -> None:
    script = "import numpy as np\ndef predict(inputs):\n    return {'y': np.array([t.upper() for t in inputs['t']])}\n"
    inputs = (TensorSpec(name="t", datatype="BYTES", shape=(-1,)),)
    with serving(code(tmp_path, script, inputs=inputs)) as plane:
        asked = DirectCall({"t": np.array(["grün", ""], dtype=np.object_)})
        found = asyncio.run(plane.infer(asked))["y"]
        assert [str(each, "utf-8") if isinstance(each, bytes) else each for each in found] == ["GRÜN", ""]


POISONED = """\
import os, sys, time
import numpy as np
def predict(inputs):
    x = inputs["x"]
    print("what is printed is no answer")
    y = x.sum(axis=1)
    first = set(x[:, 0].tolist())
    if 101 in first: os._exit(3)
    if 102 in first: time.sleep(60)
    if 103 in first: y = np.where(x[:, 0] == 103, np.nan, y)
    if 104 in first: raise ValueError("x is odd")
    if 105 in first: return [y]
    if 106 in first: return {"y": y[:, None]}
    if 107 in first: return {"y": y.astype(np.float32)}
    if 108 in first: return {"z": y}
    if 109 in first: raise KeyError("missing")
    if 110 in first: return {"y": np.broadcast_to(1.0, (1 << 27,))}
    if 111 in first: os.write(int(sys.orig_argv[2]), b"x" * 40); time.sleep(60)
    if 112 in first: os.chdir("/"); raise RuntimeError("elsewhere")
    return {"y": y}
"""


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OwnCode, Path]]:
    directory = tmp_path_factory.mktemp("poisoned")
    yield code(directory, POISONED), directory


POISONS: dict[int, tuple[type[Refusal], str]] = {
    101: (Failed, "predict() of serve.py failed: its process ended with status 3"),
    102: (DeadlinePassed, "predict() of serve.py failed: it had not answered after"),
    103: (Failed, "the answer of predict() of serve.py is wrong: output 'y' is not a number (NaN) at [0]"),
    104: (BadInput, "predict() of serve.py refuses these inputs: serve.py:11: ValueError: x is odd"),
    105: (Failed, "predict() of serve.py failed: it returned a list, not a dict of arrays: return {'y': y}"),
    106: (Failed, "the answer of predict() of serve.py is wrong: output 'y' has the shape [1, 1], not [-1]"),
    107: (Failed, "the answer of predict() of serve.py is wrong: output 'y' is FP32, not FP64"),
    108: (Failed, "the answer of predict() of serve.py is wrong: the output 'y' is missing; there is z"),
    109: (Failed, "predict() of serve.py failed: serve.py:16: KeyError: 'missing'"),
    110: (Failed, "predict() of serve.py failed: its outputs have 1024 MiB, at most 512 are served"),
    111: (Failed, "predict() of serve.py failed: it wrote to a file descriptor that is not its own"),
    112: (Failed, "predict() of serve.py failed: serve.py:19: RuntimeError: elsewhere"),
}


@pytest.mark.slow
def test_each_way_to_fail_is_one_sentence_for_its_caller_and_nothing_for_its_neighbours(
    poisoned: tuple[OwnCode, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(poisoned[0], seconds=8) as plane:

        async def every_one() -> None:
            for poison, (kind, reason) in POISONS.items():
                rows = [(float(poison) if n == 3 else float(n), 1.0) for n in range(8)]
                found = await asyncio.gather(*(ask(plane, *row) for row in rows))
                refusal = found.pop(3)
                assert type(refusal) is kind, (poison, refusal)
                assert str(refusal).startswith(reason), (poison, refusal)
                good = [each.tolist() for each in found if isinstance(each, np.ndarray)]
                assert good == [[n + 1.0] for n in range(8) if n != 3], poison
            assert plane.accepting
            assert b'plimsoll_code_restarts_total{model="m",version="1"} 6.0' in page(await plane.counts_of_all())

        asyncio.run(every_one())
    assert "what is printed is no answer" in capfd.readouterr().err


def test_a_process_that_is_killed_in_the_middle_loses_no_call(tmp_path: Path) -> None:
    script = "import os, time\nimport numpy as np\n" + SUM.replace(
        "    return",
        "    if os.path.exists('slow'):\n"
        "        open('pid', 'w').write(str(os.getpid()))\n"
        "        time.sleep(0.3)\n"
        "    return",
    )
    with serving(code(tmp_path, script)) as plane:
        (tmp_path / "slow").touch()

        async def killed_once() -> list[Array | Refusal]:
            asked = asyncio.gather(*(ask(plane, n, 0) for n in range(4)))
            while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
                await asyncio.sleep(0.01)
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
            (tmp_path / "slow").unlink()
            return list(await asked)

        found = asyncio.run(killed_once())
        assert [each.tolist() for each in found if isinstance(each, np.ndarray)] == [[0.0], [1.0], [2.0], [3.0]]


@pytest.mark.slow
def test_memory_beyond_the_limit_ends_the_process_and_is_said(tmp_path: Path) -> None:
    script = "import time\ndef predict(inputs):\n    y = inputs['x'].sum(axis=1)\n    if 7 in y:\n"
    script += "        held = bytearray(300 << 20)\n        time.sleep(9)\n    return {'y': y}\n"
    with serving(code(tmp_path, script, memory=200 << 20)) as plane:
        small, large = answers(plane, (1, 2), (3, 4))
        assert isinstance(small, np.ndarray)
        assert isinstance(large, Failed)
        assert "more than 200 MiB (resources.memory of the service)" in str(large)


@pytest.mark.slow
def test_code_that_does_not_come_up_again_is_unready_with_its_reason_and_comes_back(tmp_path: Path) -> None:
    script = "import os\nif os.path.exists('broken'):\n    raise RuntimeError('no weights')\n" + SUM.replace(
        "    return", "    if os.path.exists('broken'): os._exit(1)\n    return"
    )
    with serving(code(tmp_path, script), seconds=20) as plane:

        async def broken_and_mended() -> None:
            (tmp_path / "broken").touch()
            refusal = await ask(plane, 1, 2)
            assert isinstance(refusal, (Failed, NotReady)), refusal
            while not plane.catalog.all()[0].problem:
                await asyncio.sleep(0.01)
            assert not plane.model_ready("m", None)
            assert not plane.accepting
            (line,) = plane.index()
            assert line.state == "UNAVAILABLE"
            assert line.reason.startswith("predict() of serve.py is not up: ")
            (tmp_path / "broken").unlink()
            while plane.catalog.all()[0].problem:
                await asyncio.sleep(0.05)
            assert isinstance(await ask(plane, 1, 2), np.ndarray)
            assert plane.accepting

        asyncio.run(asyncio.wait_for(broken_and_mended(), 60))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import nothing_of_this_name\n", "serve.py:1: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("def predict(inputs:\n", "serve.py:1: "),
        ("def load(directory):\n    raise OSError('no such model')\n" + SUM, "serve.py:2: OSError: no such model"),
        ("import sys\nsys.exit(5)\n", "its process ended with status 5"),
        ("import os\nos.kill(os.getpid(), 11)\n", "its process was ended by SIGSEGV"),
        (SUM.replace("'y'", "'y'+1"), "it cannot be tried: predict() of serve.py failed: serve.py:2: TypeError"),
        ("def predict(inputs):\n    return {'y': 1j}\n", "'y' is an array of complex128: make it numbers"),
    ],
)
def test_a_script_that_does_not_come_up_is_told_with_its_line(tmp_path: Path, script: str, reason: str) -> None:
    with pytest.raises(TargetError) as told, serving(code(tmp_path, script)):
        pass
    assert reason in told.value.on_one_line()


def test_a_sample_is_what_a_function_is_tried_with(tmp_path: Path) -> None:
    script = "def predict(inputs):\n    return {'y': [{'red': 1, 'green': 2}[c] for c in inputs['c']]}\n"
    inputs = (TensorSpec(name="c", datatype="BYTES", shape=(-1,)),)
    with pytest.raises(TargetError, match="cannot be tried"), serving(code(tmp_path, script, inputs=inputs)):
        pass
    sample = {"c": Example(shape=(1,), data=("green",))}
    with serving(code(tmp_path, script, inputs=inputs, sample=sample)) as plane:
        assert plane.metadata("m", None).spec.outputs[0].datatype == "INT64"


def test_code_that_was_changed_since_its_service_began_is_not_started_again(tmp_path: Path) -> None:
    own = code(tmp_path, SUM, files={"serve.py": "0" * 64})
    with pytest.raises(TargetError, match="changed since the service was started"):
        require_unchanged(own)


def test_a_pipeline_passes_outputs_on_and_names_the_step_that_fails(tmp_path: Path) -> None:
    first, last = tmp_path / "first", tmp_path / "last"
    first.mkdir()
    last.mkdir()
    before = "import numpy as np\ndef predict(inputs):\n    return {'x': inputs['raw'].astype(np.float32) / 2}\n"
    after = "def predict(inputs):\n    if inputs['score'].max() > 90: raise RuntimeError('too high')\n"
    after += "    return {'y': inputs['score'][:, 0] * 10}\n"
    raw = (TensorSpec(name="raw", datatype="FP64", shape=(-1, 2)),)
    score = (TensorSpec(name="score", datatype="FP32", shape=(-1, 1)),)
    steps = (
        ModelFile(name="halve", version="1", code=code(first, before, inputs=raw)),
        ModelFile(name="linear", version="1", path=str(linear_model(tmp_path / "m.onnx"))),
        ModelFile(name="scale", version="1", code=code(last, after, inputs=score)),
    )
    with serving(ModelFile(name="m", version="1", steps=steps)) as plane:
        assert [each.name for each in plane.metadata("m", None).spec.inputs] == ["raw"]

        async def asked(*row: float) -> dict[str, Array]:
            return await plane.infer(DirectCall({"raw": np.array([row], np.float64)}))

        async def both() -> None:
            # Halved, then left - 2 × right, then times ten.
            assert (await asked(8, 2))["y"].tolist() == [20.0]
            with pytest.raises(Failed, match=r"step 3 \(scale\): .*RuntimeError: too high"):
                await asked(1000, 0)

        asyncio.run(both())


def test_steps_that_do_not_fit_each_other_are_refused_before_the_first_request(tmp_path: Path) -> None:
    steps = (
        ModelFile(name="sum", version="1", code=code(tmp_path, SUM)),
        ModelFile(name="linear", version="1", path=str(linear_model(tmp_path / "m.onnx"))),
    )
    with pytest.raises(TargetError) as told, serving(ModelFile(name="m", version="1", steps=steps)):
        pass
    text = (
        "step 2 (linear): its input 'x' is FP32, and the step before gives FP64, put a step between them that converts"
    )
    assert told.value.on_one_line() == text


SERVER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
X = [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}]
Y = [{"name": "y", "datatype": "FP64", "shape": [-1]}]
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def reply(self, status, found):
        content = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def do_GET(self):
        self.reply(200, {"name": "m", "inputs": X, "outputs": Y})
    def do_POST(self):
        data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"][0]["data"]
        if data[0] == 101:
            os._exit(4)
        if data[0] == 102:
            return self.reply(422, {"error": "x is odd"})
        if data[0] == 103:
            return self.reply(200, {"outputs": [{**Y[0], "shape": [1], "data": [float("nan")]}]})
        if data[0] == 104:
            return self.reply(500, {"error": "broken"})
        self.reply(200, {"outputs": [{**Y[0], "shape": [len(data) // 2], "data": [sum(data)]}]})
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.mark.timeout(200)
def test_a_server_of_ones_own_stands_behind_ours_and_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    own = OwnCode(argv=("sh", "-c", f"{sys.executable} server.py; echo ended"), directory=str(tmp_path))
    with serving(own) as plane:

        async def asked() -> None:
            assert isinstance(found := await ask(plane, 1, 2), np.ndarray)
            assert found.tolist() == [3.0]
            for row, kind, reason in (
                (102, BadInput, "refuses these inputs (status 422): x is odd"),
                (103, Failed, "output 'y' is not a number (NaN) at [0]"),
                (104, Failed, "it answered with the status 500: broken"),
                (101, Failed, "failed: "),
            ):
                refusal = await ask(plane, row, 0)
                assert type(refusal) is kind, refusal
                assert reason in str(refusal)
            while not isinstance(await ask(plane, 2, 2), np.ndarray):
                await asyncio.sleep(0.1)

        asyncio.run(asyncio.wait_for(asked(), 120))
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        ((sys.executable, "-c", "import sys; sys.exit(7)"), "its process ended with status 7"),
        (("no-such-program",), "no-such-program: the command cannot be started: No such file or directory"),
    ],
)
def test_a_server_that_does_not_come_up_is_told(tmp_path: Path, argv: tuple[str, ...], reason: str) -> None:
    with pytest.raises(TargetError) as told, serving(OwnCode(argv=argv, directory=str(tmp_path))):
        pass
    assert reason in told.value.on_one_line()


def test_python_without_numpy_is_named(tmp_path: Path) -> None:
    python = shutil.which("python3", path="/usr/bin:/bin")
    if python is None:
        pytest.skip("needs a Python without packages")
    argv = (python, "-I", "-S", "serve.py")
    own = OwnCode(argv=argv, script="serve.py", directory=str(tmp_path), inputs=(X,))
    (tmp_path / "serve.py").write_text(SUM)
    with pytest.raises(TargetError, match="numpy is not installed for"), serving(own):
        pass
