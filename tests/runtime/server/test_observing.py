"""What observers are told, and what happens to requests while it cannot be recorded."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from plimsoll.runtime.model import OnnxModel
from plimsoll.runtime.server.administration import Administration
from plimsoll.runtime.server.catalog import Catalog
from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.observers import Answer, Observer, Observers
from plimsoll.runtime.server.refusals import Forbidden, NotFound, NotReady, Unservable
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from tests.runtime.conftest import ADMIN, TOKEN, linear_model, scaled_model, until
from tests.runtime.server.direct_call import DirectCall, infer

X = {"x": np.array([[1, 2]], dtype=np.float32)}


class Auditing(Observer):
    """Keeps what it is told; fails and has problems on demand."""

    essential = True
    sees_changes = True

    def __init__(self) -> None:
        self.seen: list[Answer] = []
        self.trouble = ""
        self.raises = False

    @property
    def problem(self) -> str:
        return self.trouble

    def answered(self, answers: Sequence[Answer]) -> None:
        if self.raises:
            raise OSError("the disk is full")
        self.seen += answers


def plane_of(directory: Path, observer: Observer, files: dict[str, str] | None = None) -> DataPlane:
    path = linear_model(directory / "model.onnx")
    file = ModelFile(name="m", version="3", path=str(path), digest="sha256:" + "1" * 64, files=files or {})
    catalog = Catalog(lambda: ServiceFile(models=(file,)))
    catalog.load_first()
    return DataPlane(catalog, Observers([observer]), None, Administration(TOKEN))


def test_requests_for_unknown_models_and_changes_are_observed_with_who_asked(tmp_path: Path) -> None:
    auditing = Auditing()
    plane = plane_of(tmp_path, auditing)
    with pytest.raises(NotFound):
        infer(plane, DirectCall(X, model="other" * 100, version="9"))
    with pytest.raises(Forbidden):
        asyncio.run(plane.unload("m", {}, "stranger"))
    asyncio.run(plane.unload("m", ADMIN, "here"))
    with pytest.raises(NotReady):
        infer(plane, DirectCall(X))
    asyncio.run(plane.load("m", ADMIN, "here"))
    plane.observers.close()

    told = [(each.event, each.model[:5], each.status, each.client) for each in auditing.seen]
    assert told == [
        ("inference", "other", 404, "here"),
        ("unload", "m", 403, "stranger"),
        ("unload", "m", 200, "here"),
        ("inference", "m", 503, "here"),
        ("load", "m", 200, "here"),
    ]
    assert len(auditing.seen[0].model) == 80


def test_an_observer_that_is_not_asked_for_changes_sees_inferences_only(tmp_path: Path) -> None:
    auditing = Auditing()
    auditing.sees_changes = False
    plane = plane_of(tmp_path, auditing)
    asyncio.run(plane.load("m", ADMIN, "here"))
    infer(plane, DirectCall(X))
    plane.observers.close()

    assert [each.event for each in auditing.seen] == ["inference"]


def test_nothing_is_answered_while_it_cannot_be_audited_and_then_it_is_again(tmp_path: Path) -> None:
    auditing = Auditing()
    plane = plane_of(tmp_path, auditing)
    auditing.trouble = "the log cannot be written: no space left on device"
    infer(plane, DirectCall(X))
    until(lambda: bool(plane.observers.blocked))

    with pytest.raises(NotReady, match="no space left"):
        infer(plane, DirectCall(X))
    assert not plane.accepting
    auditing.trouble = ""
    until(lambda: plane.accepting)
    infer(plane, DirectCall(X))
    plane.observers.close()
    # The one that was refused meanwhile is counted when there is room again.
    assert [(each.event, each.status) for each in auditing.seen] == [
        ("inference", 200),
        ("unrecorded", 503),
        ("inference", 200),
    ]


def test_an_observer_that_fails_gets_what_comes_after_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    auditing = Auditing()
    auditing.essential = False
    plane = plane_of(tmp_path, auditing)
    auditing.raises = True
    infer(plane, DirectCall(X))
    until(lambda: plane.observers.lost > 0)
    auditing.raises = False
    infer(plane, DirectCall(X))
    plane.observers.close()

    assert plane.observers.lost == 1
    assert len(auditing.seen) == 1
    assert "the disk is full" in capfd.readouterr().err


def test_an_altered_file_is_not_loaded_and_the_version_before_goes_on(tmp_path: Path) -> None:
    path = linear_model(tmp_path / "model.onnx")
    beside = tmp_path / "words.txt"
    beside.write_text("a b")
    digests = {str(each): f"sha256:{hashlib.sha256(each.read_bytes()).hexdigest()}" for each in (path, beside)}
    plane = plane_of(tmp_path, Auditing(), digests)
    before = infer(plane, DirectCall(X))["score"].tolist()
    for altered, content in ((beside, b"b a"), (path, scaled_model(tmp_path / "other.onnx", 7).read_bytes())):
        kept = altered.read_bytes()
        altered.write_bytes(content)
        with pytest.raises(Unservable, match="altered: its digest differs"):
            asyncio.run(plane.load("m", ADMIN, ""))
        assert infer(plane, DirectCall(X))["score"].tolist() == before
        altered.write_bytes(kept)
    asyncio.run(plane.load("m", ADMIN, ""))


def test_a_model_keeps_the_digest_of_what_was_loaded(tmp_path: Path) -> None:
    path = linear_model(tmp_path / "model.onnx")
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    model = OnnxModel(path, "m")
    path.write_bytes(b"other")
    assert model.digest == digest
