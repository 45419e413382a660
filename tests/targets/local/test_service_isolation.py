"""The user's own code of a service in sandboxes of this machine."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from plimsoll.application.isolation import Isolation, Level
from plimsoll.kinds.predictors import ServedStep
from plimsoll.kinds.serve import Serve
from plimsoll.planning.steps import Step
from plimsoll.runtime.isolation.bubblewrap import sandboxing
from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.predictors.apart import ending_inside
from plimsoll.runtime.server.refusals import Refusal
from plimsoll.runtime.server.service_file import ModelFile, OwnCode, Sandboxed, ServiceFile
from plimsoll.runtime.specs import TensorSpec
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.local.service_isolation import service_sandbox
from tests.runtime.server.direct_call import DirectCall, plane_of

pytestmark = pytest.mark.skipif(not sandboxing().program, reason=f"{sandboxing().problem}; {sandboxing().remedy}")
SCRIPT = """\
import os, pathlib, signal
def predict(inputs):
    if inputs["x"][0] > 8:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        held = not pathlib.Path("SECRET").read_text()
    except FileNotFoundError:
        held = True
    return {"y": inputs["x"] * 0 + held}
"""


def served(directory: Path, level: Level) -> DataPlane:
    app, secret = directory / "app", directory / "secret"
    app.mkdir(exist_ok=True)
    secret.write_text("x")
    (app / "serve.py").write_text(SCRIPT.replace("SECRET", str(secret)))
    command = f"{sys.executable} serve.py"
    work = Serve(service="s", model="", own=ServedStep(name="s", command=command, script="serve.py"))
    step = Step(part="s", key="k", work=work, isolation=Isolation(level=level))
    state = StateDirectory(app)
    state.make()
    sandbox = service_sandbox(step, state, app, {"PATH": os.environ["PATH"]})
    x = TensorSpec(name="x", datatype="FP64", shape=(-1,))
    code = OwnCode(
        argv=(sys.executable, "serve.py"), script="serve.py", directory=str(app), inputs=(x,), sandbox=sandbox
    )
    file = ModelFile(name="m", version="1", code=code)
    return plane_of(lambda: ServiceFile(models=(file,)))


@pytest.fixture
def plane(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[DataPlane]:
    plane = served(tmp_path, request.param)
    yield plane
    plane.catalog.close()


async def ask(plane: DataPlane, value: float) -> float | str:
    try:
        answer = await plane.infer(DirectCall({"x": np.array([value], np.float64)}))
    except Refusal as refusal:
        return str(refusal)
    return float(answer["y"][0])


@pytest.mark.parametrize(("plane", "held"), [("none", 0.0), ("process", 0.0), ("strict", 1.0)], indirect=["plane"])
def test_a_function_answers_from_its_sandbox_and_sees_what_its_level_has(plane: DataPlane, held: float) -> None:
    assert asyncio.run(ask(plane, 1)) == held


@pytest.mark.parametrize("plane", ["strict"], indirect=True)
def test_a_function_that_is_killed_in_its_sandbox_is_told_and_started_again(plane: DataPlane) -> None:
    async def both() -> list[float | str]:
        first = await ask(plane, 9)
        for _ in range(200):
            if isinstance(again := await ask(plane, 1), float):
                break
            await asyncio.sleep(0.05)
        return [first, again]

    first, again = asyncio.run(both())
    assert "was killed (SIGKILL)" in str(first)
    assert again == 1.0


@pytest.mark.parametrize(("status", "code"), [(0, 0), (3, 3), (137, -9), (143, -15), (255, 255), (None, None)])
def test_signals_in_a_sandbox_are_signals_again(status: int | None, code: int | None) -> None:
    assert ending_inside(Sandboxed(argv=("bwrap",)), status) == code
    assert ending_inside(None, status) == status
