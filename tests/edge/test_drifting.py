"""The drift of devices from what they have sent: each by itself and all as one, with late labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from plimsoll.edge.choosing import Choice
from plimsoll.edge.documents import Device, DeviceReport, UploadRule
from plimsoll.edge.drifting import Watched, judge_drift
from plimsoll.edge.sent_lines import Sent, read_labels, sent_by
from plimsoll.errors import FileError
from plimsoll.runtime.specs import ModelSpec, TensorSpec
from plimsoll.telemetry.drift.features import build_side
from plimsoll.telemetry.drift.reference import DriftReference

pytest.importorskip("scipy")
NOW = datetime.now(UTC)
DIGEST = "sha256:" + "1" * 64
LONG_AGO = NOW - timedelta(days=1)


def reference() -> DriftReference:
    chance = np.random.default_rng(1)
    load = chance.normal(size=5000)
    return DriftReference(
        model=DIGEST,
        spec=ModelSpec(
            name="m",
            inputs=(TensorSpec(name="load", datatype="FP64", shape=(-1, 1)),),
            outputs=(TensorSpec(name="label", datatype="INT64", shape=(-1,)),),
        ),
        data="d",
        inputs=build_side({"load": load}, "input"),
        outputs=build_side({"label": (load > 0).astype(np.int64)}, "output"),
    )


def device(name: str, ahead: float = 0.0) -> Device:
    report = DeviceReport(device=name, number=1, at=NOW + timedelta(seconds=ahead), counter=1, release=1)
    return Device(name=name, labels={}, key_id="k", key={}, enrolled=NOW, report=report, heard=NOW)


def line(value: float, number: int, at: datetime = NOW, digest: str = DIGEST, **more: object) -> bytes:
    content = {
        "at": at.isoformat(),
        "event": "inference",
        "model": "m",
        "version": "1",
        "digest": digest,
        "status": 200,
        "request_id": f"r{number}",
        "inputs": [{"name": "load", "datatype": "FP64", "shape": [1, 1], "data": [value]}],
        "outputs": [{"name": "label", "datatype": "INT64", "shape": [1], "data": [int(value > 0)]}],
    }
    return json.dumps({**content, **more}).encode()


def write(logs: Path, name: str, lines: list[bytes], number: int = 1) -> None:
    (logs / name).mkdir(parents=True, exist_ok=True)
    (logs / name / f"{number:010d}-m-audit.jsonl").write_bytes(b"".join(each + b"\n" for each in lines))


def sent(logs: Path, *names: str, rule: UploadRule | None = None) -> dict[str, Iterator[Sent]]:
    return {name: sent_by(device(name), logs, rule or UploadRule(), LONG_AGO) for name in names}


def test_devices_that_are_like_training_show_no_drift_and_one_that_is_not_is_named(tmp_path: Path) -> None:
    chance = np.random.default_rng(2)
    for number in range(4):
        shift = 1.5 if number == 3 else 0.0
        write(tmp_path, f"cab-{number}", [line(each + shift, at) for at, each in enumerate(chance.normal(size=300))])
    found = judge_drift(sent(tmp_path, *(f"cab-{n}" for n in range(4))), {DIGEST: Watched(reference=reference())}, {})
    alarms = {name: [alarm for state in states for alarm in state.alarms] for name, states in found.devices.items()}
    assert [bool(alarms[f"cab-{number}"]) for number in range(4)] == [False, False, False, True]
    assert alarms["cab-3"][0].startswith("feature load: KS")
    (together,) = found.together
    assert (together.model, together.version, together.rows) == ("m", "1", 1200)
    assert together.alarms


def test_what_no_device_has_enough_answers_to_show_all_of_them_show(tmp_path: Path) -> None:
    chance = np.random.default_rng(3)
    names = [f"cab-{number}" for number in range(40)]
    for name in names:
        write(tmp_path, name, [line(each + 0.6, at) for at, each in enumerate(chance.normal(size=20))])
    found = judge_drift(sent(tmp_path, *names), {DIGEST: Watched(reference=reference())}, {})
    assert not any(state.alarms for states in found.devices.values() for state in states)
    assert any("feature load" in alarm for alarm in found.together[0].alarms)


@pytest.mark.slow
def test_late_labels_are_joined_by_the_ids_of_requests_over_all_devices(tmp_path: Path) -> None:
    pytest.importorskip("river")
    chance = np.random.default_rng(4)
    values = chance.normal(size=200)
    for name, part in (("cab-1", range(100)), ("cab-2", range(100, 200))):
        write(tmp_path, name, [line(values[number], number) for number in part])
    path = tmp_path / "labels.jsonl"
    # Every fourth label is another one than what was predicted.
    labels = [{"id": f"r{n}", "label": int(each > 0) ^ int(n % 4 == 0)} for n, each in enumerate(values)]
    path.write_text("\n".join(json.dumps(each) for each in labels))
    watched = {DIGEST: Watched(reference=reference(), promised=0.95)}
    found = judge_drift(sent(tmp_path, "cab-1", "cab-2"), watched, read_labels(path))
    (together,) = found.together
    assert (together.labels, together.scores["accuracy"]) == (200, 0.75)
    assert any("0.95 was promised" in alarm for alarm in together.alarms)
    assert [state.labels for states in found.devices.values() for state in states] == [100, 100]


def test_of_a_log_of_which_a_part_was_sent_the_sample_alone_counts(tmp_path: Path) -> None:
    rule = UploadRule(sample=0.2, changed=0.0)
    lines = [line(float(number % 7), number) for number in range(1000)]
    choice = Choice(rule)
    kept = [each for each in lines if choice.wants(each)]
    write(tmp_path, "cab-1", kept)
    counted = list(sent(tmp_path, "cab-1", rule=rule)["cab-1"])
    assert 150 < len(counted) < 250 < len(kept)
    assert list(sent(tmp_path, "cab-1", rule=UploadRule(changed=0.0))["cab-1"]) == []


def test_times_are_by_the_clock_of_the_owner_and_old_answers_do_not_count(tmp_path: Path) -> None:
    years = 3 * 365 * 86_400.0
    now_there = NOW + timedelta(seconds=years)
    write(tmp_path, "cab-1", [line(0.1, 1, now_there), line(0.1, 2, now_there - timedelta(days=2))])
    (found,) = sent_by(device("cab-1", ahead=years), tmp_path, UploadRule(), LONG_AGO)
    assert abs((found.at - NOW).total_seconds()) < 1


def test_lines_without_values_refusals_and_other_versions_are_skipped_or_counted_as_skipped(tmp_path: Path) -> None:
    without = [{"name": "load", "datatype": "FP64", "shape": [1, 1]}]
    broken = [{"name": "load", "datatype": "NONE", "shape": [1, 1], "data": [1.0]}]
    lines = [line(0.1, n) for n in range(40)]
    lines += [line(0.1, 1, inputs=without), line(0.1, 1, inputs=broken), line(0.1, 1, status=422), b"{}", b"\xff"]
    lines += [line(0.1, 1, digest="sha256:other")]
    write(tmp_path, "cab-1", lines)
    found = judge_drift(sent(tmp_path, "cab-1"), {DIGEST: Watched(reference=reference())}, {})
    assert (found.together[0].rows, found.together[0].skipped) == (40, 2)


@pytest.mark.parametrize("spoilt", ["{", '{"id": 3, "label": 1}', '{"label": 1}', '{"id": "a", "label": [1]}'])
def test_a_label_that_is_none_is_named_with_its_line(tmp_path: Path, spoilt: str) -> None:
    (tmp_path / "labels.jsonl").write_text(f'{{"id": "a", "label": "x"}}\n\n{spoilt}\n')
    with pytest.raises(FileError, match="no label") as raised:
        read_labels(tmp_path / "labels.jsonl")
    assert raised.value.where.endswith("labels.jsonl:3")
