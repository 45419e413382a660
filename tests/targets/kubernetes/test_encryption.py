"""Results on a cluster under a key that pods have from a Secret: what its registry holds is in clear nowhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from plimsoll.errors import TargetError
from plimsoll.kinds.dataset import CommandResult
from plimsoll.kinds.train import TrainResult
from plimsoll.planning.steps import InputFile
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts
from plimsoll.runtime.pod import store
from plimsoll.runtime.pod_task import KEY_FILE
from plimsoll.targets.kubernetes.session import KubernetesSession
from plimsoll.targets.kubernetes.work.pods import workload_of
from plimsoll.vault.content_keys import ContentSealer
from plimsoll.vault.key_sources import KeySource
from tests.targets.kubernetes.bench import Bench, Carried, Pod

pytestmark = pytest.mark.slow

MARK = "holder-4711"


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeySource:
    """A key of this machine that pods find in their Secret."""
    path = tmp_path / "the.key"
    path.write_text(os.urandom(32).hex())
    path.chmod(0o600)
    monkeypatch.setattr(store, "KEY_FILE", str(path))
    return KeySource(file=str(path))


def session_of(bench: Bench, key: KeySource) -> KubernetesSession:
    return bench.session(bench.target(secret="shop/key", key=key))


def everything(repository: Repository, tag: str, place: Path) -> bytes:
    """All that the registry has of an image, as it lies there."""
    manifest = repository.manifest(tag)
    found = manifest.content
    for number, each in enumerate((manifest.decoded().config, *manifest.decoded().layers)):
        repository.pull_blob(each, place / str(number), tag)
        found += (place / str(number)).read_bytes()
    return found


def test_results_travel_between_pods_and_to_this_machine_and_lie_in_clear_nowhere(
    bench: Bench, key: KeySource, tmp_path: Path
) -> None:
    session = session_of(bench, key)
    first = bench.command("first", f"{MARK}.csv")
    read: list[bytes] = []

    def leaves(pod: Pod) -> None:
        (pod.output / f"{MARK}.csv").write_text(f"card\n{MARK}\n")
        pod.leave()

    def second(pod: Pod) -> None:
        read.append(pod.input(pod.task.inputs[0]))
        pod.leave()

    bench.does("run/first", leaves)
    bench.does("run/second", second)
    given = InputFile(name="first", step=first.name, key=first.key, file=f"{MARK}.csv")
    for step in (first, bench.command("second", inputs=(given,))):
        assert Carried(session.start(step, 1)).end().outcome == "done"

    assert read == [f"card\n{MARK}\n".encode()]
    found = session.result(first)
    assert isinstance(found, CommandResult)
    assert [file.name for file in found.outputs] == [f"{MARK}.csv"]
    repository = session.context.results.repository
    held = everything(repository, first.key, tmp_path)
    assert MARK.encode() not in held
    assert b"outputs" not in held
    session.context.results.fetch(first.key, CommandResult, session.context.state)
    assert (session.context.state.output(first.key) / f"{MARK}.csv").read_text() == f"card\n{MARK}\n"


def test_the_key_is_in_no_object_and_pods_have_it_as_a_file_of_the_secret(bench: Bench, key: KeySource) -> None:
    session = session_of(bench, key)
    given = InputFile(name="first", step="run/first", key="ab" * 32, file="rows.csv")
    made = workload_of(bench.command("second", inputs=(given,)), "w", session.context)
    written = repr(made.objects)
    assert Path(key.file).read_text() not in written
    assert key.file not in written
    spec = _pod(made.objects)
    (volume,) = [each for each in spec["volumes"] if "secret" in each]
    assert volume["secret"] == {
        "secretName": "shop",
        "items": [{"key": "key", "path": "key"}],
        "defaultMode": 0o400,
    }
    mounts = {each["name"]: each["mountPath"] for each in spec["containers"][0]["volumeMounts"]}
    assert f"{mounts[volume['name']]}/key" == KEY_FILE
    # What is encrypted cannot be mounted by a node.
    assert not [each for each in spec["volumes"] if "image" in each]


def test_a_training_begins_from_its_encrypted_checkpoint(bench: Bench, key: KeySource, tmp_path: Path) -> None:
    session = session_of(bench, key)
    step = bench.training("triage")
    left = tmp_path / "left"
    left.mkdir()
    (left / "state.txt").write_text(MARK)

    def trains(pod: Pod) -> None:
        with store.PodStore(pod.task) as opened:
            uploader = opened.checkpoint_uploader(left, pod.print, None)
            assert uploader is not None
            uploader.close()
            again = opened.checkpoint_uploader(tmp_path / "again", pod.print, None)
            assert again is not None
            assert again.restore() == 1
        pod.leave(model_onnx="m")

    bench.does(step.name, trains)
    assert Carried(session.start(step, 1)).end().outcome == "done"
    assert (tmp_path / "again" / "state.txt").read_text() == MARK
    repository = session.context.results.repository
    assert MARK.encode() not in everything(repository, f"checkpoint-{step.key}", tmp_path)
    assert isinstance(session.result(step), TrainResult)


def test_another_key_and_no_key_are_one_sentence_each(bench: Bench, key: KeySource, tmp_path: Path) -> None:
    session = session_of(bench, key)
    step = bench.command("clean", "rows.csv")
    assert Carried(session.start(step, 1)).end().outcome == "done"
    sealed = session.context.results.repository
    for sealer, said in (
        (None, "this is encrypted, and no key for it is known here"),
        (ContentSealer(bytes(32)), "this is encrypted under key"),
    ):
        with Repository(sealed.reference, sealer=sealer) as repository:
            with pytest.raises(TargetError, match=said):
                artifacts.pull(repository, step.key, tmp_path / "refused")
            with pytest.raises(TargetError, match=said):
                artifacts.read_facts(repository, step.key)
            assert not list((tmp_path / "refused").glob("*.csv"))


def test_what_was_in_clear_before_is_still_read(bench: Bench, key: KeySource) -> None:
    step = bench.command("clean", "rows.csv")
    assert Carried(bench.session().start(step, 1)).end().outcome == "done"
    assert isinstance(session_of(bench, key).result(step), CommandResult)


def _pod(objects: Any) -> dict[str, Any]:
    (job,) = [each for each in objects if each["kind"] == "Job"]
    return dict(job["spec"]["template"]["spec"])
