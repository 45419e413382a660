"""Versions that are deleted, and blobs that nothing leads to any more."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from plimsoll.errors import ModelRefused, PlimsollError, TargetError
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.sweeping import GRACE, alone_in, sweepable
from plimsoll.signing.keys import KeyRing
from tests.registry.conftest import register


def again(registry: ModelRegistry) -> ModelRegistry:
    return ModelRegistry(registry.layout.root, registry.keys)


def test_the_number_of_a_deleted_version_is_never_given_again(registry: ModelRegistry) -> None:
    first, second = register(registry, "k1", b"one"), register(registry, "k2", b"two")
    registry.delete([second])
    assert again(registry).find("triage") == first
    with pytest.raises(PlimsollError, match="triage@2 was deleted on 20"):
        registry.find("triage@2")
    assert register(registry, "k3", b"three").version == 3
    # The training of a deleted version comes to a new one.
    assert register(registry, "k2", b"two").version == 4
    registry.delete([registry.find("triage@3"), registry.find("triage@4"), first])
    with pytest.raises(PlimsollError, match="there is no model 'triage'"):
        registry.find("triage")
    assert register(registry, "k4", b"four").version == 5
    assert registry.open(registry.find("triage")).version.version == 5


def test_a_version_with_a_tag_is_not_deleted(registry: ModelRegistry) -> None:
    version = register(registry)
    registry.tag(version, "prod")
    with pytest.raises(PlimsollError, match="triage@1 has the tag prod") as caught:
        registry.delete([version])
    assert "plimsoll models triage@VERSION --tag prod" in caught.value.hint
    assert registry.find("triage:prod") == version


def test_an_index_that_was_changed_by_hand_deletes_and_sweeps_nothing(registry: ModelRegistry) -> None:
    version, other = register(registry, "k1", b"one"), register(registry, "k2", b"two")
    index = registry.layout.root / "index.json"
    index.write_text(index.read_text().replace(other.digest, version.digest))
    with pytest.raises(ModelRefused, match="changed by something else"):
        again(registry).delete([version])
    with pytest.raises(ModelRefused, match="changed by something else"):
        sweepable(again(registry))


def test_only_what_no_version_has_is_swept(registry: ModelRegistry) -> None:
    first, second = register(registry, "k1", b"one"), register(registry, "k2", b"two")
    assert sweepable(registry) == []
    opened = registry.open(second).files["model.onnx"].parent
    assert sweepable(registry, without=[second.digest]) == sweepable(registry, without=[second.digest], used=[opened])
    registry.delete([second])
    swept = sweepable(registry)
    assert registry.layout.path(second.files["model.onnx"].digest) in swept
    # Both versions have the same words.
    assert registry.layout.path(second.files["words.txt"].digest) not in swept
    assert opened not in swept, "somebody may be about to serve it"
    os.utime(opened, (0, time.time() - GRACE - 1))
    assert opened in sweepable(registry)
    assert opened not in sweepable(registry, used=[opened / "model.onnx"])
    for path in swept:
        path.unlink()
    assert registry.open(first).files["words.txt"].read_bytes() == b"a b c"
    assert registry.open(register(registry, "k2", b"two")).version.version == 3


def test_nothing_is_swept_while_somebody_reads(registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plimsoll.registry.sweeping.BUSY_LIMIT", 0.05)
    register(registry)
    with (
        registry.layout.reading(),
        pytest.raises(TargetError, match="models are being read or pulled"),
        alone_in(registry),
    ):
        pass
    with alone_in(registry):
        assert sweepable(registry) == []


def test_a_training_that_was_forced_is_a_new_version_only_with_other_files(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    first = register(registry, "k1", b"one")
    assert register(registry, "k1", b"two") == first
    assert register(registry, "k1", b"one", anew=True) == first
    second = register(registry, "k1", b"two", anew=True)
    assert second.version == 2
    assert ModelRegistry(registry.layout.root, KeyRing(tmp_path / "keys")).open(second).version == second
