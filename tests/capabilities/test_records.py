"""Records are read back as they were written, old ones are judged the same, and a broken one is never a pass."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.capabilities.facts import cluster_facts
from plimsoll.capabilities.inventory_records import InventoryRecord
from plimsoll.capabilities.probe import ROOMS, judge, probe_of
from plimsoll.capabilities.records import (
    Applied,
    BrokeOff,
    Came,
    CheckRecord,
    MalformedRecord,
    NamespaceCreated,
    decode,
    observation_of,
    required,
    tags,
)
from plimsoll.evidence.journal import read_journal
from plimsoll.evidence.observation import Observation, observed
from plimsoll.evidence.secrets import REMOVED
from plimsoll.evidence.timeline import namespaces, timeline
from plimsoll.evidence.verdict import Outcome
from tests.capabilities.made_records import made
from tests.capabilities.recorded import FOLDER, recorded

RECORDED = [name for name in ROOMS if (FOLDER / f"{name}.jsonl").exists()]
EXPECTED = json.loads(Path(__file__).with_name("expected_verdicts.json").read_text())
OLDER_FOLDER = Path(__file__).parent / "older_records"
OLDER = json.loads((OLDER_FOLDER / "expected_verdicts.json").read_text())
UNIONS = [InventoryRecord, *(probe_of(name).records for name in ROOMS)]
KINDS = sorted(
    {kind for union in UNIONS for kind in typing.get_args(union)}, key=lambda kind: f"{kind.__module__}.{kind.__name__}"
)
# No field of any record can hold it: neither text, a number, a mapping, nor a list of one kind of thing.
MALFORMED = ["malformed", {"type": [None]}]


@pytest.mark.parametrize("name", RECORDED)
def test_a_recording_of_an_older_version_gets_the_verdict_that_it_had(name: str) -> None:
    assert msgspec.to_builtins(judge(name, recorded(name))) == EXPECTED[name]


def test_there_is_an_expected_verdict_for_every_recording() -> None:
    assert sorted(EXPECTED) == sorted(RECORDED)


@pytest.mark.parametrize("name", OLDER)
def test_a_record_from_before_a_field_was_added_gets_the_verdict_that_it_had(name: str) -> None:
    record = tuple(read_journal(OLDER_FOLDER / f"{name}.jsonl"))
    assert msgspec.to_builtins(judge(name, record)) == OLDER[name]


@pytest.mark.parametrize("name", [*RECORDED, "inventory"])
def test_every_observation_of_a_recording_is_a_record_and_is_written_as_it_was(name: str) -> None:
    union = InventoryRecord if name == "inventory" else probe_of(name).records
    kinds = tags(union)
    for each in recorded(name):
        record = msgspec.convert(each.fact, kinds[each.event])
        written = msgspec.json.decode(msgspec.json.encode(record))
        added = written.keys() - each.fact.keys()
        assert {key: written[key] for key in each.fact if key in written} == dict(each.fact)
        assert added <= {"late", "scheduler", "told"}, "fields that this recording is too old for"


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", KINDS, ids=lambda kind: f"{kind.__module__.removeprefix('plimsoll.capabilities.')}.{kind.__name__}"
)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read_back(kind: type[CheckRecord], data: st.DataObject) -> None:
    record = data.draw(made(kind))
    line = msgspec.json.encode(observation_of("subject", record))
    read = msgspec.json.decode(line, type=Observation)
    union = next(union for union in UNIONS if kind in typing.get_args(union))
    assert decode([read], union).all(kind) == [record]


def changes(record: tuple[Observation, ...], key_of: Any) -> Iterator[tuple[str, tuple[Observation, ...]]]:
    """Every record in which one field of one observation was changed by `key_of`."""
    for number, each in enumerate(record):
        for key in each.fact:
            if key != "event":
                fact = key_of(dict(each.fact), key)
                altered = msgspec.structs.replace(each, fact=fact)
                yield f"{each.event}.{key}", (*record[:number], altered, *record[number + 1 :])


@pytest.mark.parametrize("name", RECORDED)
def test_a_record_with_a_field_of_another_type_is_unknown(name: str) -> None:
    for where, altered in changes(recorded(name), lambda fact, key: {**fact, key: MALFORMED}):
        verdict = judge(name, altered)
        assert verdict.outcome is Outcome.UNKNOWN, where
        assert "does not hold what a verdict needs" in verdict.cause


@pytest.mark.parametrize("name", RECORDED)
def test_a_record_that_lacks_a_field_passes_only_when_older_versions_did_not_write_it(name: str) -> None:
    def without(fact: dict[str, Any], key: str) -> dict[str, Any]:
        return {name: value for name, value in fact.items() if name != key}

    optional = {"case.of", "case.pods", "attempt.status", "tried.node", "asked.told"}
    optional |= {"healed.said", "expected.resource", "asked.target"}
    for where, altered in changes(recorded(name), without):
        if where not in optional and not where.endswith(".scheduler"):
            assert judge(name, altered).outcome is not Outcome.PASS, where


@pytest.mark.parametrize("name", RECORDED)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_record_that_was_cut_at_any_byte_never_passes(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = (FOLDER / f"{name}.jsonl").read_bytes()
    end = content.index(b'"event":"ended"')
    path = tmp_path_factory.mktemp("cut") / "record.jsonl"
    path.write_bytes(content[: data.draw(st.integers(0, end))])
    assert judge(name, tuple(read_journal(path))).outcome is not Outcome.PASS


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("event", ["decided", "broke-off"])
def test_a_malformed_end_is_unknown(name: str, event: str) -> None:
    for values in ({}, {"outcome": "splendid", "cause": ""}, {"problem": None}):
        verdict = judge(name, (*recorded(name), observed("check", name, event, **values)))
        assert verdict.outcome is Outcome.UNKNOWN


def test_an_event_of_a_newer_version_is_left_out() -> None:
    name = RECORDED[0]
    later = observed("check", name, "an-event-to-come", value=1)
    assert judge(name, (later, *recorded(name))) == judge(name, recorded(name))


def test_a_malformed_inventory_names_the_observation() -> None:
    broken = (*recorded("inventory")[:2], observed("check", "inventory", "gateway-class", name="lab"))
    with pytest.raises(MalformedRecord, match=r"observation 3 is no 'gateway-class': .*controller"):
        cluster_facts(broken)


def test_a_field_that_only_some_records_have_is_asked_for_by_name() -> None:
    assert required(0, "bound") == 0
    with pytest.raises(MalformedRecord, match="the field 'all' is missing"):
        required(None, "all")


def test_a_record_is_stored_without_credentials() -> None:
    stored = observation_of("gang_scheduling", BrokeOff(problem="password=hunter22", remedy=""))
    assert stored.fact == {"event": "broke-off", "problem": f"password={REMOVED}", "remedy": ""}
    assert (stored.source, stored.subject) == ("check", "gang_scheduling")


def test_a_timeline_has_words_for_the_records_of_every_probe() -> None:
    records = [
        NamespaceCreated(name="plimsoll-1", level="baseline"),
        Applied(kind="Pod", name="pace", manifest={}),
        Came(what="the end of pace", seconds=1.5),
        BrokeOff(problem="a quota is exhausted", remedy="raise it"),
    ]
    observations = [observation_of("gang_scheduling", each) for each in records]
    assert namespaces(observations) == ["plimsoll-1"]
    assert [each.words for each in timeline(observations)] == [
        "name plimsoll-1, level baseline",
        "Pod/pace",
        "the end of pace, after 1.5 s",
        "a quota is exhausted",
    ]
