"""Which version a name leads to, and which keys count."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from plimsoll.errors import ModelRefused, PlimsollError, TargetError
from plimsoll.registry.index_entries import SUBJECT_ANNOTATION
from plimsoll.registry.layout import REFERENCE_ANNOTATION
from plimsoll.registry.models import ModelRegistry
from plimsoll.signing.keys import KeyRing
from tests.registry.conftest import register


@pytest.fixture
def two(registry: ModelRegistry) -> ModelRegistry:
    """A registry with triage@1, and triage@2 that has the tag `prod`."""
    register(registry, "k1", b"one")
    registry.tag(register(registry, "k2", b"two"), "prod")
    return registry


def edit(registry: ModelRegistry, *, without: str = "", move: tuple[str, str] | None = None) -> None:
    """Change index.json by hand: leave out a digest with its signatures, or let a name lead elsewhere."""
    path = registry.layout.root / "index.json"
    index = json.loads(path.read_text())
    named = {each.get("annotations", {}).get(REFERENCE_ANNOTATION): each for each in index["manifests"]}
    if move:
        named[move[0]].update({key: named[move[1]][key] for key in ("digest", "size")})
    index["manifests"] = [
        each
        for each in index["manifests"]
        if not without or without not in (each["digest"], each.get("annotations", {}).get(SUBJECT_ANNOTATION))
    ]
    path.write_text(json.dumps(index))


def again(registry: ModelRegistry) -> ModelRegistry:
    """The same registry, opened anew."""
    return ModelRegistry(registry.layout.root, registry.keys)


def test_names_and_tags_lead_where_they_were_set(two: ModelRegistry) -> None:
    opened = again(two)
    assert [opened.find(name).version for name in ("triage", "triage:prod", "triage@1")] == [2, 2, 1]


def test_a_tag_that_was_moved_by_hand_leads_nowhere(two: ModelRegistry) -> None:
    edit(two, move=("triage:prod", "triage:1"))
    for name in ("triage:prod", "triage"):
        with pytest.raises(ModelRefused, match="changed by something else than plimsoll"):
            again(two).find(name)
    assert again(two).open(again(two).find("triage@1")).version.version == 1


def test_the_older_version_is_not_the_newest_when_the_newest_was_taken_out(two: ModelRegistry) -> None:
    edit(two, without=two.find("triage@2").digest)
    with pytest.raises(ModelRefused, match="--accept-index"):
        again(two).find("triage")
    with pytest.raises(ModelRefused, match="changed by something else"):
        register(again(two), "k3", b"three")


@pytest.mark.parametrize("statement", [True, False])
def test_an_old_index_that_was_signed_is_refused(two: ModelRegistry, statement: bool) -> None:
    kept = {path.name: path.read_bytes() for path in two.layout.root.glob("index*")}
    register(two, "k3", b"three")
    (two.layout.root / "index.json").write_bytes(kept["index.json"])
    if statement:
        (two.layout.root / "index.dsse.json").write_bytes(kept["index.dsse.json"])
    with pytest.raises(ModelRefused, match="an old one: number 3, and number 4"):
        again(two).find("triage")


def test_an_index_without_its_statement_is_refused_where_it_was_seen(two: ModelRegistry) -> None:
    (two.layout.root / "index.dsse.json").unlink()
    with pytest.raises(ModelRefused):
        again(two).find("triage")


def test_a_changed_index_can_be_accepted(two: ModelRegistry) -> None:
    edit(two, without=two.find("triage@2").digest)
    again(two).accept_index()
    assert again(two).find("triage").version == 1
    assert register(again(two), "k3", b"three").version == 2


def test_a_registry_of_before_the_statements_is_accepted_and_then_signed(registry: ModelRegistry) -> None:
    version = register(registry, "k1", b"one")
    (registry.layout.root / "index.dsse.json").unlink()
    shutil.rmtree(registry.keys.directory / "seen")
    assert again(registry).find("triage").version == 1
    again(registry).tag(version, "prod")
    assert (registry.layout.root / "index.dsse.json").exists()


def test_a_registry_that_was_removed_begins_anew(two: ModelRegistry) -> None:
    shutil.rmtree(two.layout.root)
    with pytest.raises(PlimsollError, match="there is no model"):
        again(two).find("triage")
    assert register(again(two), "k1", b"one").version == 1


def test_the_index_that_was_there_holds_when_a_writer_ends_before_the_next_is_there(two: ModelRegistry) -> None:
    two._statement.prepare(b"{}")
    assert again(two).find("triage").version == 2
    two._statement.prepare(b"{} ")
    assert again(two).find("triage").version == 2


def test_a_lost_key_is_not_replaced_in_silence(two: ModelRegistry) -> None:
    two.keys.private.unlink()
    with pytest.raises(TargetError, match=r"is lost(.|\n)*plimsoll key rotate"):
        register(again(two), "k3", b"three")
    assert not two.keys.private.exists()
    assert again(two).open(two.find("triage")).version.version == 2


@pytest.mark.parametrize("lost", [True, False])
def test_a_new_key_countersigns_and_the_old_one_can_go(two: ModelRegistry, lost: bool) -> None:
    old = two.keys.named.read_text().strip()
    if lost:
        two.keys.private.unlink()
    new = two.keys.renew()
    opened = again(two)
    opened.accept_index()
    for version in opened.versions():
        opened.countersign(version)
    assert (two.keys.directory / "retired" / f"{old}.pem").exists() is not lost

    (two.keys.trusted / f"{old}.json").unlink()
    opened = again(two)
    assert [opened.open(version).signed_by for version in opened.versions()] == [new, new]
    assert opened.find("triage:prod").version == 2


def test_a_version_that_no_trusted_key_signed_is_not_countersigned(two: ModelRegistry, tmp_path: Path) -> None:
    stranger = ModelRegistry(two.layout.root, KeyRing(tmp_path / "other"))
    with pytest.raises(ModelRefused, match="is not trusted here"):
        stranger.countersign(two.find("triage@1"))


def test_two_signatures_in_one_envelope_count_when_one_is_by_a_trusted_key(tmp_path: Path) -> None:
    import msgspec

    from plimsoll.signing.dsse import WrongSignature, open_envelope, sign_payload

    first, second = KeyRing(tmp_path / "first"), KeyRing(tmp_path / "second")
    one, two = (msgspec.json.decode(sign_payload(b"payload", ring).envelope) for ring in (first, second))
    both = {**one, "signatures": one["signatures"] + two["signatures"]}
    for ring, signed in ((first, one), (second, two)):
        opened = open_envelope(msgspec.json.encode(both))
        opened.verify(ring)
        assert opened.key_id == signed["signatures"][0]["keyid"]
    forged = {**both, "signatures": [{**two["signatures"][0], "keyid": one["signatures"][0]["keyid"]}]}
    with pytest.raises(WrongSignature):
        open_envelope(msgspec.json.encode(forged)).verify(first)
