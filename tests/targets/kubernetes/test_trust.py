"""The keys by which pods verify models: those of all who run an application, whoever runs last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from plimsoll.errors import ModelRefused, TargetError
from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.memory import Fault, MemoryCluster
from plimsoll.signing.dsse import sign, verify
from plimsoll.signing.keys import KeyFiles, KeyRing
from plimsoll.signing.revocation import revoke
from plimsoll.signing.rotation import rotate
from plimsoll.targets.kubernetes.trust import unite

DIGEST = "sha256:" + "ab" * 32
PLACE = ("v1", "ConfigMap", "shop-trust", "default")


class User:
    """Somebody with keys of their own."""

    def __init__(self, name: str, place: Path, api: Api, patch: pytest.MonkeyPatch) -> None:
        self.name = name
        self.ring = KeyRing(place / name / "plimsoll" / "keys")
        self.key = str(self.ring.signer().public_key.keyid)
        self._home, self._api, self._patch = place / name, api, patch

    def add(self, application: str = "shop") -> list[str]:
        """Have their keys on the cluster, as a run of theirs does."""
        self._patch.setenv("XDG_CONFIG_HOME", str(self._home))
        return unite(self._api, application, "default", f"{self.name}@laptop")


@pytest.fixture
def ada(tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> User:
    return User("ada", tmp_path, api, monkeypatch)


@pytest.fixture
def bob(tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> User:
    return User("bob", tmp_path, api, monkeypatch)


def config_map(cluster: MemoryCluster) -> dict[str, Any]:
    found = cluster.find(*PLACE)
    assert found is not None
    return found


def keys_in(cluster: MemoryCluster) -> set[str]:
    return {name.removesuffix(".json") for name in config_map(cluster)["data"]}


def test_a_colleague_s_run_takes_no_key_away(cluster: MemoryCluster, ada: User, bob: User) -> None:
    assert ada.add() == [ada.key]
    assert bob.add() == [bob.key]
    assert keys_in(cluster) == {ada.key, bob.key}
    before = config_map(cluster)
    assert (ada.add(), bob.add()) == ([], [])
    assert config_map(cluster) == before


def test_the_cluster_says_whose_each_key_is_and_since_when(cluster: MemoryCluster, ada: User, bob: User) -> None:
    ada.add()
    bob.add()
    said = config_map(cluster)["metadata"]["annotations"]
    assert said[f"plimsoll.dev/key-{ada.key[:40]}"].startswith("ada@laptop, 20")
    assert said[f"plimsoll.dev/key-{bob.key[:40]}"].startswith("bob@laptop, 20")


def test_what_pods_mount_verifies_the_models_of_both(
    cluster: MemoryCluster, ada: User, bob: User, tmp_path: Path
) -> None:
    ada.add()
    bob.add()
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    for name, text in config_map(cluster)["data"].items():
        (mounted / name).write_text(text)
    for key in (ada.key, bob.key):
        assert KeyFiles(mounted).public(key).keyid == key


def test_keys_that_lie_in_files_of_the_same_name_are_both_there(cluster: MemoryCluster, ada: User, bob: User) -> None:
    for user in (ada, bob):
        (user.ring.trusted / f"{user.key}.json").rename(user.ring.trusted / "ci.json")
        user.add()
    assert {ada.key, bob.key} <= keys_in(cluster)


def test_keys_that_are_added_at_the_same_moment_are_all_there(
    cluster: MemoryCluster, api: Api, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, looks = Api.find, []

    def overtaken(self: Api, *place: Any) -> Any:
        seen = look(self, *place)
        looks.append(place)
        if len(looks) == 1:
            bob.add()
        return seen

    monkeypatch.setattr(Api, "find", overtaken)
    ada.add()
    assert keys_in(cluster) == {ada.key, bob.key}


def test_a_config_map_that_others_change_all_the_time_is_told(cluster: MemoryCluster, ada: User, bob: User) -> None:
    bob.add()
    cluster.fail(Fault(times=100, when=lambda request: request.method == "PATCH", status=409, message="conflict"))
    with pytest.raises(TargetError, match="changed by others 10 times"):
        ada.add()
    assert keys_in(cluster) == {bob.key}


def test_a_key_that_is_there_with_another_content_is_refused_with_whose_it_is(
    cluster: MemoryCluster, ada: User, bob: User
) -> None:
    described = msgspec.json.decode((bob.ring.trusted / f"{bob.key}.json").read_bytes())
    (bob.ring.trusted / "copy.json").write_bytes(msgspec.json.encode({**described, "keyid": ada.key}))
    ada.add()
    before = config_map(cluster)
    with pytest.raises(TargetError, match="is there with another content, from ada@laptop") as refused:
        bob.add()
    assert refused.value.where == "ConfigMap shop-trust in namespace default"
    assert config_map(cluster) == before


def test_a_file_that_is_no_key_is_named_and_reaches_no_cluster(cluster: MemoryCluster, ada: User) -> None:
    (ada.ring.trusted / "notes.json").write_text("{}")
    with pytest.raises(ModelRefused, match="the trusted key cannot be read") as refused:
        ada.add()
    assert refused.value.where.endswith("notes.json")
    assert cluster.find(*PLACE) is None


def test_a_spoilt_key_of_one_takes_nobody_else_s_trust_away(tmp_path: Path, ada: User) -> None:
    (ada.ring.trusted / "000.json").write_text("{}")
    assert KeyFiles(ada.ring.trusted).public(ada.key).keyid == ada.key
    with pytest.raises(ModelRefused, match="the trusted key cannot be read"):
        KeyFiles(ada.ring.trusted).public("f" * 64)


@pytest.mark.parametrize("labels", [{}, {"plimsoll.dev/application": "other"}], ids=["by hand", "another application"])
def test_a_config_map_of_somebody_else_stays_as_it_is(
    cluster: MemoryCluster, ada: User, labels: dict[str, str]
) -> None:
    metadata = {"name": "shop-trust", "namespace": "default", "labels": labels}
    cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}})
    before = config_map(cluster)
    with pytest.raises(TargetError, match="is somebody else's"):
        ada.add()
    assert config_map(cluster) == before


def test_a_key_that_somebody_has_taken_away_by_hand_comes_back_by_its_owner_alone(
    cluster: MemoryCluster, ada: User, bob: User
) -> None:
    ada.add()
    cluster.put({**config_map(cluster), "data": None})
    bob.add()
    assert keys_in(cluster) == {bob.key}
    ada.add()
    assert keys_in(cluster) == {ada.key, bob.key}


def test_a_run_tells_pods_which_keys_were_retired_or_revoked(
    cluster: MemoryCluster, ada: User, bob: User, tmp_path: Path
) -> None:
    ada.add()
    envelope = sign("triage@1", DIGEST, {}, ada.ring)
    rotated = rotate(ada.ring)
    assert set(ada.add()) == {ada.key, rotated.new}
    assert verify(envelope, "triage@1", DIGEST, mounted(cluster, tmp_path / "one")) == ada.key
    revoke(ada.ring, ada.key, "compromised")
    assert ada.add() == [ada.key]
    before = config_map(cluster)
    assert (ada.add(), bob.add()) == ([], [bob.key])
    assert config_map(cluster)["data"] == {**before["data"], **{f"{bob.key}.json": bob.ring.files()[f"{bob.key}.json"]}}
    with pytest.raises(ModelRefused, match="revoked on"):
        verify(envelope, "triage@1", DIGEST, mounted(cluster, tmp_path / "two"))


def mounted(cluster: MemoryCluster, place: Path) -> KeyFiles:
    place.mkdir()
    for name, text in config_map(cluster)["data"].items():
        (place / name).write_text(text)
    return KeyFiles(place)
