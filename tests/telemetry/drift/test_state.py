"""The merged drift state of several servers."""

from __future__ import annotations

from datetime import UTC, datetime

from plimsoll.telemetry.drift.state import DriftState, merge_states


def told(version: str, **more: object) -> DriftState:
    given: dict[str, object] = {"rows": 0, "skipped": 0, "windows": 0, **more}
    return DriftState(model="m", version=version, **given)  # type: ignore[arg-type]


def test_servers_have_each_seen_a_part_of_the_requests() -> None:
    late = datetime(2026, 1, 2, tzinfo=UTC)
    servers = [
        told("2", rows=5, windows=1, alarms=("feature a: KS 0.3",), labels=3, scores={"accuracy": 0.5}, changed=late),
        told("1", rows=9),
        told("2", rows=7, skipped=2, windows=2, alarms=("feature a: KS 0.3", "feature b: KS 0.1"), labels=1),
    ]
    one, two = merge_states(servers)
    assert (one.version, one.rows) == ("1", 9)
    assert (two.rows, two.skipped, two.windows, two.labels) == (12, 2, 3, 4)
    assert two.alarms == ("feature a: KS 0.3", "feature b: KS 0.1")
    assert two.scores == {"accuracy": 0.5}
    assert two.changed == late


def test_merging_leaves_the_state_of_one_server_unchanged() -> None:
    alone = told("1", rows=4)
    assert merge_states([alone]) == [alone]
    assert merge_states([]) == []
