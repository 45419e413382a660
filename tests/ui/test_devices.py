"""The page of devices: groups with their rollouts, and what each device has told last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plimsoll.edge.documents import DesiredState, Device, DeviceReport, Fleet, Rollout, ServiceReport
from plimsoll.edge.drift_view import GroupDrift, write_drift
from plimsoll.edge.fleet_file import FleetFile
from plimsoll.errors import FileError
from plimsoll.telemetry.drift.state import DriftState
from plimsoll.ui.device_pages import DevicePages

NOW = datetime.now(UTC)


def device(name: str, heard: float | None = 5, **report: Any) -> Device:
    told = DeviceReport(
        device=name,
        number=1,
        at=datetime.now(UTC),
        counter=1,
        release=2,
        services=(ServiceReport(name="m", model="m@2", up=report.pop("up", True), requests=3, readings=4),),
        disk=10**9,
        temperature=41.5,
        waiting=2048,
        **report,
    )
    return Device(
        name=name,
        labels={"site": "north"},
        key_id=name,
        key={},
        enrolled=NOW,
        report=told if heard is not None else None,
        heard=datetime.now(UTC) - timedelta(seconds=heard) if heard is not None else None,
    )


def write(root: Path, group: str, *devices: Device) -> None:
    state = DesiredState(group=group, counter=1, issued=NOW, expires=NOW, sync=60.0, release=2, services=())
    rollout = Rollout(
        release=2, rings=(0.5, 1.0), ring=1, began=NOW, ring_began=NOW, hold=60, limit=600, errors=0.02, phase="waiting"
    )
    fleet = Fleet(group=group, devices={each.name: each for each in devices}, state=state, rollout=rollout)
    file = FleetFile(root, group)
    with file.locked():
        file.write(fleet)


def test_devices_that_need_somebody_come_first_and_each_tells_its_state(tmp_path: Path) -> None:
    write(
        tmp_path,
        "cabs",
        device("cab-1"),
        device("cab-2", 1000),
        device("cab-3", failed=3, problem="m: it does not load"),
        device("cab-4", None),
        device("cab-5", up=False),
    )
    page: Any = DevicePages(tmp_path).page(text="", offset=0, limit=50)
    assert [(row["name"], row["state"]) for row in page["devices"]] == [
        ("cab-3", "problem"),
        ("cab-5", "problem"),
        ("cab-2", "away"),
        ("cab-4", "waiting"),
        ("cab-1", "serving"),
    ]
    assert page["devices"][0]["problem"] == "took release 3 back: m: it does not load"
    assert page["devices"][1]["problem"] == "m is down"
    last = page["devices"][-1]
    assert (last["versions"], last["requests"], last["waiting"], last["temperature"]) == (["m@2"], 7, 2048, 41.5)
    (group,) = page["groups"]
    assert group["rollout"].startswith("release 2, ring 2 of 2 (100% of the devices)")


def test_rows_come_in_pages_and_by_a_word_of_a_label_a_version_or_a_drift(tmp_path: Path) -> None:
    write(tmp_path, "cabs", *(device(f"cab-{number}") for number in range(9)))
    state = DriftState(model="m", version="2", rows=10, skipped=0, windows=1, alarms=("feature load: KS 0.5",))
    write_drift(tmp_path, "cabs", GroupDrift(judged=NOW, together=(state,), devices={"cab-7": (state,)}))
    pages = DevicePages(tmp_path)
    page: Any = pages.page(text="", offset=6, limit=2)
    assert (page["total"], [row["name"] for row in page["devices"]]) == (9, ["cab-6", "cab-7"])
    for text, count in (("north", 9), ("feature load", 1), ("cab-3", 1), ("nothing", 0)):
        found: Any = pages.page(text=text, offset=0, limit=50)
        assert found["total"] == count
    assert page["groups"][0]["drift"] == ["feature load: KS 0.5"]


def test_a_change_of_a_group_is_seen_and_secrets_are_not(tmp_path: Path) -> None:
    pages = DevicePages(tmp_path)
    empty: Any = pages.page(text="", offset=0, limit=50)
    assert (empty["groups"], pages.stamp) == ([], [])
    write(tmp_path, "cabs", device("cab-1"))
    page: Any = pages.page(text="", offset=0, limit=50)
    assert page["total"] == 1
    assert "key" not in page["devices"][0]
    (tmp_path / "edge" / "cabs.json").write_text("{")
    with pytest.raises(FileError, match="cannot be read"):
        pages.page(text="", offset=0, limit=50)
