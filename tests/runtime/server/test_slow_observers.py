"""What takes long in a request is made beside the event loop and within its time limit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plimsoll.runtime.model import Model
from plimsoll.runtime.server.data_plane import Limits
from plimsoll.runtime.server.observers import Observer, Observers, still_wanted
from plimsoll.runtime.server.refusals import (
    BadInput,
    DeadlinePassed,
    NotReady,
)
from plimsoll.runtime.tensors import Array, BadTensor
from tests.runtime.conftest import linear_model
from tests.runtime.server.direct_call import DirectCall, X, infer, plane_of


class SlowWords(Observer):
    """An observer whose outputs take until nobody waits for them, in a thread whose name it keeps."""

    thread = ""
    ended = False

    def more_outputs(
        self, model: Model, parameters: Mapping[str, Any], inputs: Mapping[str, Array], outputs: Mapping[str, Array]
    ) -> Mapping[str, Array]:
        self.thread = threading.current_thread().name
        try:
            while parameters["long"]:
                still_wanted.get()()
        except TimeoutError:
            self.ended = True
            raise
        return {"words": np.array([b"few"], dtype=np.object_)}


def test_what_observers_add_is_made_beside_the_event_loop_and_within_the_time_limit(tmp_path: Path) -> None:
    slow = SlowWords()
    plane = plane_of(linear_model(tmp_path / "m.onnx"), limits=Limits(seconds=0.2), observers=Observers([slow]))

    async def both() -> dict[str, Array]:
        long = asyncio.ensure_future(plane.infer(DirectCall({"x": X}, parameters={"long": True})))
        await asyncio.sleep(0.05)
        meanwhile = await plane.infer(DirectCall({"x": X}))
        with pytest.raises(DeadlinePassed, match=r"did not answer within 0\.2 s"):
            await long
        return meanwhile

    assert set(asyncio.run(both())) == {"score", "label"}
    assert set(infer(plane, DirectCall({"x": X}, parameters={"long": False}))) == {"score", "label", "words"}
    assert slow.ended
    assert slow.thread.startswith("adding")
    plane.observers.close()


class Trees(Observer):
    """An observer that has to read something before its first output, and cannot at first."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.readings = 0

    def needs(self, parameters: Mapping[str, Any]) -> bool:
        return "trees" in parameters

    def prepare(self, model: Model) -> None:
        self.readings += 1
        if self.readings == 1:
            raise BadTensor("the trees cannot be read")
        self.may_go_on.wait()

    def more_outputs(
        self, model: Model, parameters: Mapping[str, Any], inputs: Mapping[str, Array], outputs: Mapping[str, Array]
    ) -> Mapping[str, Array]:
        return {"trees": np.array([self.readings])} if self.needs(parameters) else {}


def test_what_observers_need_once_is_made_in_the_background_and_keeps_no_request_beyond_its_limit(
    tmp_path: Path,
) -> None:
    trees = Trees()
    plane = plane_of(linear_model(tmp_path / "m.onnx"), limits=Limits(seconds=0.2), observers=Observers([trees]))
    asking = {"trees": True}

    async def asked() -> dict[str, Array]:
        with pytest.raises(BadInput, match="the trees cannot be read"):
            await plane.infer(DirectCall({"x": X}, parameters=asking))
        for _ in range(2):
            with pytest.raises(NotReady, match="is being prepared") as refused:
                await plane.infer(DirectCall({"x": X}, parameters=asking))
            assert refused.value.retry_after == 5
        others = await plane.infer(DirectCall({"x": X}, parameters={"other": 1}))
        assert set(others) == {"score", "label"}
        trees.may_go_on.set()
        return await plane.infer(DirectCall({"x": X}, parameters=asking))

    assert asyncio.run(asked())["trees"].tolist() == [2]
    plane.observers.close()


def test_a_long_response_is_written_beside_the_event_loop(tmp_path: Path) -> None:
    threads: list[str] = []

    class Call(DirectCall):
        def write(self, results: dict[str, Array]) -> dict[str, Array]:
            threads.append(threading.current_thread().name)
            return super().write(results)

    plane = plane_of(linear_model(tmp_path / "m.onnx"))

    infer(plane, Call({"x": X}))
    infer(plane, Call({"x": np.zeros((5000, 2), np.float32)}))

    assert threads[0] == threading.main_thread().name
    assert threads[1].startswith("beside")
