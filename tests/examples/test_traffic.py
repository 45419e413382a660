"""The example of traffic: its file is right, its threshold is the one of least error, and its head counts by it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from plimsoll.kinds.table import KINDS

from .scripts import EXAMPLES, load

EXAMPLE = EXAMPLES / "traffic"
head, camera = load("traffic", "head", "camera")


def line(frame: int, scores: list[float], name: str = "north") -> str:
    data = scores + [0.0] * (head.MOST - len(scores))
    tensor = {"name": "scores", "datatype": "FP32", "shape": [1, head.MOST], "data": data}
    return json.dumps({"event": "inference", "id": f"{name}-{frame}", "inputs": [tensor]})


def learnt_of(tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    sent, output = tmp_path / "sent", tmp_path / "output"
    (sent / "north").mkdir(parents=True)
    output.mkdir()
    (sent / "north" / "0000000001-cars-audit.jsonl").write_text("\n".join(lines))
    for name, value in {"INPUT_SENT": sent, "INPUT_COUNTED": EXAMPLE / "counted.csv", "OUTPUT": output}.items():
        monkeypatch.setenv(f"PLIMSOLL_{name}", str(value))
    head.main()
    told: dict[str, float] = json.loads((output / "metrics.json").read_text())
    return told


def test_the_file_is_right() -> None:
    KINDS.check(KINDS.load(EXAMPLE / "plimsoll.yaml"))


def test_without_anything_sent_the_usual_threshold_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = learnt_of(tmp_path, [json.dumps({"event": "begin"})], monkeypatch)
    assert told == {"threshold": 0.5, "frames": 0.0}


def test_the_threshold_lies_between_what_are_cars_and_what_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Frames 20 and 120 are learnt from, and 50 and 30 held out.
    counts = {20: 1, 50: 6, 120: 1, 30: 4}
    lines = [line(frame, [0.4] * count + [0.2] * 3) for frame, count in counts.items()]
    proof = json.loads(line(0, [0.9]))
    del proof["id"]
    told = learnt_of(tmp_path, [*lines, json.dumps(proof)], monkeypatch)
    assert 0.2 < told["threshold"] <= 0.4
    assert (told["frames"], told["error"], told["baseline_usual_error"]) == (2.0, 0.0, 5.0)


def test_the_head_counts_what_has_the_threshold_and_says_how_likely_a_jam_is() -> None:
    session = onnxruntime.InferenceSession(head.head(0.3).SerializeToString())
    scores = np.zeros((2, head.MOST), np.float32)
    scores[0, :4], scores[1, :3] = 0.3, 0.29
    count, jam = session.run(None, {"scores": scores})
    assert count.tolist() == [4, 0]
    assert jam.sum(1).tolist() == pytest.approx([1, 1])
    assert jam[0, 1] > 0.5 > jam[1, 1]


def test_a_camera_at_dusk_sees_the_same_frames_darker_and_no_part_of_one(tmp_path: Path) -> None:
    path = tmp_path / "frames.rgb"
    path.write_bytes(bytes([200]) * camera.SIZE * 2 + b"cut")
    assert [number for number, _ in camera.frames(path, 1.0)] == [0, 5]
    assert {level for _, image in camera.frames(path, 0.4) for level in image} == {80}


def test_a_device_that_serves_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="does not serve detector: is its agent up"):
        camera.Service(tmp_path, "detector")
