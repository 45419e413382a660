"""A version goes into quarantine: out of its service, blocked for everybody, and what is known of it is kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from plimsoll.engine.promotion.promoting import AT_ONCE, promote
from plimsoll.engine.promotion.rollback import rollback
from plimsoll.engine.quarantine.quarantine import Quarantined, lift, quarantine
from plimsoll.engine.quarantine.snapshot import STATEMENT
from plimsoll.errors import ModelRefused, PlimsollError
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.runtime.server.traffic import Share
from plimsoll.signing.dsse import open_envelope
from plimsoll.signing.keys import KeyRing
from plimsoll.targets.models import version_for_use
from plimsoll.targets.services import without_version

from .promotion_in_memory import MoverInMemory, Place, Trouble, register


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Version 2 serves; version 1 did before its promotion."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    mover = MoverInMemory("2")
    mover.formerly = "1"
    place = Place(tmp_path, mover)
    register(place.state)
    register(place.state)
    head = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: tiny}\n"
    (tmp_path / "plimsoll.yaml").write_text(f"{head}spec: {{datasets: {{}}}}\n")
    return place


def quarantined(place: Place, reference: str | None = None) -> Quarantined:
    file = place.state.application / "plimsoll.yaml"
    return quarantine(place.target, file, "triage", reference=reference, reason="poisoned", say=lambda _: None)


def test_requests_go_to_the_version_before_and_the_bad_one_is_served_by_nobody_again(place: Place) -> None:
    done = quarantined(place)
    assert (done.version, done.now, done.contained) == ("triage@2", "1", True)
    assert place.mover.weights == {"1": 100}
    for again in (
        lambda: promote(place.target, "triage@2", service=None, pace=AT_ONCE, say=lambda _: None),
        lambda: rollback(place.target, "triage", reference="triage@2", say=lambda _: None),
        lambda: rollback(place.target, "triage", reference=None, say=lambda _: None),
        lambda: version_for_use(place.state, "triage", None),
    ):
        with pytest.raises(ModelRefused, match=r"triage@2 may not be served: it is in quarantine since .*: poisoned"):
            again()
    assert place.mover.weights == {"1": 100}


def test_a_lifted_version_may_be_served_again_and_its_record_is_kept(place: Place) -> None:
    quarantined(place)
    assert "poisoned" in lift(place.target, "triage@2")
    assert promote(place.target, "triage@2", service=None, pace=AT_ONCE, say=lambda _: None).promoted
    assert len(list((place.state.registry / "blocked").glob("triage@2.lifted-*.json"))) == 1
    with pytest.raises(PlimsollError, match="not in quarantine"):
        lift(place.target, "triage@2")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", None])
def test_a_record_that_was_altered_blocks_still(place: Place, content: bytes | None) -> None:
    quarantined(place)
    record = place.state.registry / "blocked/triage@2.json"
    record.write_bytes(record.read_bytes().replace(b'"payload":"', b'"payload":"A') if content is None else content)
    with pytest.raises(ModelRefused, match="its record cannot be verified"):
        version_for_use(place.state, "triage@2", None)
    assert version_for_use(place.state, "triage@1", None)[0].version == 1


def test_evidence_is_kept_with_digests_that_are_signed(place: Place) -> None:
    logs = place.state.service_logs / "triage"
    logs.mkdir(parents=True)
    (logs / "audit.jsonl").write_text("a line\n")
    evidence = Path(quarantined(place).evidence)
    assert (evidence / "logs/audit.jsonl").read_text() == "a line\n"
    opened = open_envelope((evidence / STATEMENT).read_bytes())
    opened.verify(KeyRing.default())
    about = json.loads(opened.payload)
    digests = {each["name"]: each["digest"]["sha256"] for each in about["subject"]}
    assert set(digests) >= {"plimsoll.yaml", "moves.jsonl", "logs/audit.jsonl", "version.json"}
    for name, digest in digests.items():
        assert hashlib.sha256((evidence / name).read_bytes()).hexdigest() == digest
    assert about["predicate"]["reason"] == "poisoned"


def test_without_another_good_version_the_block_stands_and_what_to_do_is_said(place: Place) -> None:
    quarantined(place)
    done = quarantined(place)
    assert (done.version, done.contained) == ("triage@1", False)
    assert "no other version that may be served; end the service: plimsoll down triage" in done.notes[0]
    with pytest.raises(ModelRefused):
        version_for_use(place.state, "triage@1", None)


def test_when_the_requests_cannot_be_moved_the_version_is_blocked_all_the_same(place: Place) -> None:
    place.mover.trouble = Trouble("add")
    done = quarantined(place)
    assert not done.contained
    assert "could not be moved" in done.notes[0]
    with pytest.raises(ModelRefused):
        version_for_use(place.state, "triage@2", None)


def test_a_version_that_does_not_lead_is_blocked_and_the_requests_stay(place: Place) -> None:
    done = quarantined(place, "triage@1")
    assert (done.contained, done.now) == (True, "2")
    assert place.mover.done == ["taken", "released"]


def test_nothing_in_a_service_leads_to_an_expelled_version() -> None:
    files = tuple(ModelFile(name="m", version=each, digest=f"sha256:{each}") for each in ("1", "2", "3"))
    shares = (
        Share(version="1", weight=60),
        Share(version="2", weight=30, headers={"x": "y"}),
        Share(version="3", weight=10, shadow=5),
    )
    content = ServiceFile(models=files, traffic={"m": shares}, former={"m": "2"})
    left = without_version(content, "m", "2")
    assert [file.version for file in left.models] == ["1", "3"]
    assert [(share.version, share.weight) for share in left.traffic["m"]] == [("1", 90), ("3", 10)]
    assert left.former == {}
