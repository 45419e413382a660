from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plimsoll.errors import ModelRefused, TargetError
from plimsoll.files import digest_of_file
from plimsoll.registry.code import CODE_ARTIFACT, read_code_manifest, write_code
from plimsoll.registry.layout import MANIFEST, TITLE_ANNOTATION, Descriptor, Manifest
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.references import Reference
from plimsoll.registry.repository import Repository
from plimsoll.registry.sweeping import sweepable
from plimsoll.registry.transfer import pull_files, pull_model, push_model
from plimsoll.registry.verification import check_directory
from plimsoll.registry.versions import Lineage
from plimsoll.signing import dsse as signing
from plimsoll.signing.keys import KeyFiles, KeyRing
from tests.servers import registry as registry_process

from .conftest import register


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with registry_process(tmp_path_factory.mktemp("server")) as reference:
        yield reference


@pytest.fixture
def repository(server: Reference, tmp_path: Path) -> Iterator[Repository]:
    """An empty repository."""
    with Repository(server.below(f"a{abs(hash(tmp_path))}")) as repository:
        yield repository


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Repository]:
    """A registry with files in `tmp_path/data`, which a test may change."""
    with registry_process(tmp_path) as reference, Repository(reference) as repository:
        yield repository


def blob(directory: Path, digest: str) -> Path:
    name = digest.removeprefix("sha256:")
    return directory / "data" / "docker/registry/v2/blobs/sha256" / name[:2] / name / "data"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def keys_of(registry: ModelRegistry) -> KeyFiles:
    return KeyFiles(registry.keys.trusted)


def test_a_pushed_model_is_pulled_into_another_layout_with_its_signature(
    registry: ModelRegistry, repository: Repository, tmp_path: Path
) -> None:
    version = register(registry)
    pushed = push_model(registry, version, repository)
    assert pushed.digest == version.digest
    elsewhere = ModelRegistry(tmp_path / "elsewhere", registry.keys)
    assert pull_model(repository, pushed.digest, elsewhere) == version
    opened = elsewhere.open(elsewhere.find("triage@1"))
    assert opened.files["model.onnx"].read_bytes() == b"weights"
    assert pull_model(repository, pushed.digest, elsewhere) == version
    assert len(elsewhere.versions()) == 1
    assert not list((tmp_path / "elsewhere" / "incoming").iterdir())


def test_a_pulled_model_is_pushed_again_with_the_same_digest(
    registry: ModelRegistry, repository: Repository, tmp_path: Path, server: Reference
) -> None:
    pushed = push_model(registry, register(registry), repository)
    elsewhere = ModelRegistry(tmp_path / "elsewhere", registry.keys)
    version = pull_model(repository, pushed.digest, elsewhere)
    with Repository(server.below("onward")) as onward:
        assert push_model(elsewhere, version, onward).digest == pushed.digest
        assert pull_files(onward, pushed.digest, keys_of(registry), tmp_path / "out").fetched


def test_only_missing_blobs_are_pushed(registry: ModelRegistry, repository: Repository) -> None:
    big = os.urandom(300_000)
    push_model(registry, register(registry, "k1", big), repository)
    first = repository.connection.sent
    push_model(registry, register(registry, "k1", big), repository)
    assert repository.connection.sent == first
    push_model(registry, register(registry, "k2", big), repository)
    assert 0 < repository.connection.sent - first < 10_000
    assert sorted(repository.tags())[:2] == ["1", "2"]


def test_a_model_is_pulled_into_a_directory_whole(
    registry: ModelRegistry, repository: Repository, tmp_path: Path
) -> None:
    pushed = push_model(registry, register(registry), repository)
    output = tmp_path / "models" / "triage"
    pulled = pull_files(repository, pushed.digest, keys_of(registry), output)
    assert pulled.fetched
    assert {path.name for path in output.iterdir()} == {"model.onnx", "words.txt", ".plimsoll"}
    assert check_directory(output, keys_of(registry), pushed.digest).version == pulled.version
    assert not pull_files(repository, pushed.digest, keys_of(registry), output).fetched


@pytest.mark.parametrize("what", ["file", "manifest", "config", "signature"])
def test_one_flipped_byte_in_the_registry_is_refused(
    registry: ModelRegistry, own_server: Repository, tmp_path: Path, what: str
) -> None:
    version = register(registry)
    pushed = push_model(registry, version, own_server)
    (statement,) = own_server.referrers(pushed.digest, signing.ENVELOPE_TYPE)
    digests = {
        "file": version.files["model.onnx"].digest,
        "manifest": pushed.digest,
        "config": own_server.manifest(pushed.digest).decoded().config.digest,
        "signature": own_server.manifest(statement.digest).decoded().layers[0].digest,
    }
    flip(blob(tmp_path, digests[what]))
    output = tmp_path / "out"
    with pytest.raises((ModelRefused, TargetError), match=r"altered|manifest invalid|refused"):
        pull_files(own_server, pushed.digest, keys_of(registry), output)
    assert not output.exists()
    elsewhere = ModelRegistry(tmp_path / "elsewhere", registry.keys)
    with pytest.raises((ModelRefused, TargetError)):
        pull_model(own_server, pushed.digest, elsewhere)
    assert elsewhere.versions() == ()


def test_a_model_without_a_trusted_signature_is_refused(
    registry: ModelRegistry, repository: Repository, tmp_path: Path
) -> None:
    pushed = push_model(registry, register(registry), repository)
    stranger = KeyRing(tmp_path / "stranger")
    stranger.signer()
    with pytest.raises(ModelRefused, match="not trusted here"):
        pull_files(repository, pushed.digest, KeyFiles(stranger.trusted), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_without_a_signature_is_refused(
    registry: ModelRegistry, own_server: Repository, tmp_path: Path
) -> None:
    pushed = push_model(registry, register(registry), own_server)
    shutil.rmtree(tmp_path / "data/docker/registry/v2/repositories/team/application/_manifests/tags")
    with pytest.raises(ModelRefused, match="is not signed"):
        pull_files(own_server, pushed.digest, keys_of(registry), tmp_path / "out")


def test_a_signature_of_another_model_does_not_count(
    registry: ModelRegistry, own_server: Repository, tmp_path: Path
) -> None:
    first = push_model(registry, register(registry, "k1"), own_server)
    second = push_model(registry, register(registry, "k2", b"better"), own_server)
    tags = tmp_path / "data/docker/registry/v2/repositories/team/application/_manifests/tags"
    mine, other = (tags / each.digest.replace(":", "-") for each in (first, second))
    shutil.rmtree(mine)
    other.rename(mine)
    with pytest.raises(ModelRefused, match="is not signed"):
        pull_files(own_server, first.digest, keys_of(registry), tmp_path / "out")


def test_signatures_of_several_keys_are_pushed_and_any_trusted_one_is_enough(
    registry: ModelRegistry, repository: Repository, tmp_path: Path, server: Reference
) -> None:
    pushed = push_model(registry, register(registry), repository)
    others = ModelRegistry(tmp_path / "others", KeyRing(tmp_path / "other-keys"))
    # The same bytes, vouched for by somebody else too.
    shutil.copytree(registry.layout.root, others.layout.root)
    version = others.versions()[0]
    from plimsoll.registry.index_entries import MODEL_ANNOTATION, SUBJECT_ANNOTATION
    from plimsoll.registry.layout import EMPTY_CONFIG

    envelope = signing.sign(version.reference, version.digest, {}, others.keys)
    size = others.layout.path(version.digest).stat().st_size
    manifest = Manifest(
        artifact_type=signing.ENVELOPE_TYPE,
        config=others.layout.add_bytes(b"{}", EMPTY_CONFIG),
        layers=(others.layout.add_bytes(envelope, signing.ENVELOPE_TYPE),),
        subject=Descriptor(media_type=MANIFEST, digest=version.digest, size=size),
    )
    entry = others.layout.add_bytes(
        manifest.encoded(),
        MANIFEST,
        artifact_type=signing.ENVELOPE_TYPE,
        annotations={SUBJECT_ANNOTATION: version.digest, MODEL_ANNOTATION: version.name},
    )
    with others.layout.locked():
        others.layout.write_entries([*others.layout.entries(), entry])
    shutil.copytree(registry.keys.trusted, others.keys.trusted, dirs_exist_ok=True)
    push_model(others, version, repository)
    assert len(repository.referrers(pushed.digest, signing.ENVELOPE_TYPE)) == 2
    assert pull_files(repository, pushed.digest, keys_of(registry), tmp_path / "one").fetched
    own = next(path for path in others.keys.trusted.iterdir() if path.stem == others.keys.signer().public_key.keyid)
    assert pull_files(repository, pushed.digest, KeyFiles(own), tmp_path / "two").signed_by == own.stem


def test_a_file_that_is_altered_after_the_pull_is_refused(
    registry: ModelRegistry, repository: Repository, tmp_path: Path
) -> None:
    pushed = push_model(registry, register(registry), repository)
    pull_files(repository, pushed.digest, keys_of(registry), tmp_path / "out")
    flip(tmp_path / "out" / "model.onnx")
    with pytest.raises(ModelRefused, match=r"model\.onnx of triage@1 was altered"):
        check_directory(tmp_path / "out", keys_of(registry), pushed.digest)
    with pytest.raises(ModelRefused, match="was altered"):
        pull_files(repository, pushed.digest, keys_of(registry), tmp_path / "out")


def test_another_model_of_the_same_number_is_not_replaced(
    registry: ModelRegistry, repository: Repository, tmp_path: Path
) -> None:
    pushed = push_model(registry, register(registry), repository)
    elsewhere = ModelRegistry(tmp_path / "elsewhere" / "registry", registry.keys)
    (tmp_path / "elsewhere").mkdir()
    theirs = register(elsewhere, "k9", b"other")
    with pytest.raises(ModelRefused, match="this registry has another triage@1"):
        pull_model(repository, pushed.digest, elsewhere)
    assert elsewhere.open(elsewhere.find("triage")).version == theirs


def test_concurrent_pulls_of_a_blob_fetch_it_once(
    registry: ModelRegistry, repository: Repository, tmp_path: Path
) -> None:
    pushed = push_model(registry, register(registry, "k1", os.urandom(2_000_000)), repository)
    before = repository.connection.received
    with ThreadPoolExecutor(8) as pool:
        pulls = [
            pool.submit(pull_files, repository, pushed.digest, keys_of(registry), tmp_path / "out") for _ in range(8)
        ]
        fetched = [pull.result().fetched for pull in pulls]
    assert fetched.count(True) == 1
    assert repository.connection.received - before < 2_500_000


def environment(registry: ModelRegistry) -> dict[str, str]:
    return {**os.environ, "PLIMSOLL_TEST_KEYS": str(registry.keys.directory)}


PUSH = """
import os, sys
from pathlib import Path
from plimsoll.registry import uploads
from plimsoll.signing.keys import KeyRing
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.registry.transfer import push_model
uploads.CHUNK = 1 << 20
models = ModelRegistry(Path(sys.argv[1]), KeyRing(Path(os.environ["PLIMSOLL_TEST_KEYS"])))
print("begins", flush=True)
with Repository(parse_reference(sys.argv[2])) as repository:
    push_model(models, models.find("triage"), repository)
"""


@pytest.mark.slow
def test_a_killed_push_is_invisible_and_the_next_push_completes_it(
    registry: ModelRegistry, repository: Repository, tmp_path: Path
) -> None:
    version = register(registry, "k1", os.urandom(24 << 20))
    for milliseconds in (30, 120, 250):
        command = [sys.executable, "-c", PUSH, str(registry.layout.root), repository.reference.name]
        process = subprocess.Popen(command, env=environment(registry), stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"begins\n"
        time.sleep(milliseconds / 1000)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if repository.has_manifest("1"):
            pull_files(repository, version.digest, keys_of(registry), tmp_path / f"out{milliseconds}")
    pushed = push_model(registry, version, repository)
    assert pull_files(repository, pushed.digest, keys_of(registry), tmp_path / "out").fetched


def pull_command(pushed: Reference, keys: Path, output: Path) -> list[str]:
    module = [sys.executable, "-m", "plimsoll.runtime.pull"]
    return [*module, str(pushed), "--keys", str(keys), "--output", str(output)]


@pytest.mark.slow
def test_a_killed_pull_leaves_nothing_and_is_continued(
    registry: ModelRegistry, repository: Repository, tmp_path: Path
) -> None:
    size = 32 << 20
    pushed = push_model(registry, register(registry, "k1", os.urandom(size)), repository)
    output = tmp_path / "models" / "triage"
    process = subprocess.Popen(pull_command(pushed, registry.keys.trusted, output), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    part: list[Path] = []
    while not any(path.stat().st_size > 1 << 20 for path in part):
        assert time.monotonic() < deadline
        time.sleep(0.002)
        part = list((tmp_path / "models").glob(".triage.*/.model.onnx.part"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not output.exists()
    left = part[0].stat().st_size
    before = repository.connection.received
    pull_files(repository, pushed.digest, keys_of(registry), output)
    assert repository.connection.received - before <= size - left + 100_000
    assert (output / "model.onnx").stat().st_size == size


@pytest.mark.slow
def test_the_pull_command_prints_json_or_one_line_of_reason(
    registry: ModelRegistry, repository: Repository, tmp_path: Path
) -> None:
    pushed = push_model(registry, register(registry), repository)
    output = tmp_path / "models" / "triage"
    good = subprocess.run(
        pull_command(pushed, registry.keys.trusted, output), capture_output=True, text=True, check=False
    )
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["files"]["model.onnx"] == str(output / "model.onnx")
    stranger = KeyRing(tmp_path / "stranger")
    stranger.signer()
    bad = subprocess.run(
        pull_command(pushed, stranger.trusted, tmp_path / "other"), capture_output=True, text=True, check=False
    )
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr.count("\n") == 1
    assert "not trusted here" in bad.stderr


@pytest.mark.slow
def test_the_pull_command_refuses_a_model_that_misses_its_bounds(
    registry: ModelRegistry, repository: Repository, tmp_path: Path
) -> None:
    pushed = push_model(registry, register(registry, accept={"accuracy": ">= 0.9"}), repository)
    command = pull_command(pushed, registry.keys.trusted, tmp_path / "out")
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert "may not be served: accuracy is 0.8" in bad.stderr
    assert subprocess.run([*command, "--any"], capture_output=True, check=False).returncode == 0


def test_skopeo_reads_what_was_pushed(registry: ModelRegistry, repository: Repository, tmp_path: Path) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("needs skopeo (Debian: apt-get install skopeo)")
    pushed = push_model(registry, register(registry), repository)
    source = f"docker://{pushed.name}:1"
    raw = subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false", source], capture_output=True, check=True)
    assert repository.manifest("1").content == raw.stdout
    copy = ["skopeo", "copy", "--quiet", "--src-tls-verify=false", source, f"oci:{tmp_path / 'copy'}:1"]
    subprocess.run(copy, check=True)
    blobs = {path.name for path in (tmp_path / "copy" / "blobs" / "sha256").iterdir()}
    assert pushed.digest.removeprefix("sha256:") in blobs


def test_a_version_travels_with_its_code_and_without_code_that_is_not_of_its_lineage(
    registry: ModelRegistry, repository: Repository, tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_bytes(b"print(1)\n")
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights")
    code = {"train.py": digest_of_file(script).removeprefix("sha256:")}
    lineage = Lineage(run="r", step="train/triage", key="k", code=code)
    given = {"lineage": lineage, "metrics": {}, "accept": {}}
    version = registry.add("triage", {"model.onnx": model}, **given, code={"train.py": script})  # type: ignore[arg-type]
    pushed = push_model(registry, version, repository)
    other = ModelRegistry(tmp_path / "other", registry.keys)
    assert write_code(other.layout, pull_model(repository, pushed.digest, other), tmp_path / "out")[1] == ["train.py"]
    assert (tmp_path / "out" / "train.py").read_bytes() == b"print(1)\n"
    assert sweepable(other) == []

    stranger = Manifest(
        artifact_type=CODE_ARTIFACT,
        config=registry.layout.add_bytes(b"{}", "application/vnd.oci.empty.v1+json"),
        layers=(registry.layout.add_bytes(b"evil", "", annotations={TITLE_ANNOTATION: "train.py"}),),
        subject=Descriptor(media_type=MANIFEST, digest=version.digest, size=1),
    )
    assert read_code_manifest(stranger.encoded(), version) is None
    assert read_code_manifest(b"no JSON", version) is None
