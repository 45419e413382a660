"""Files inside packages: the right one is found, what is altered or hostile is refused, and nothing is installed."""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from plimsoll.application.model_sources import parse_source
from plimsoll.errors import TargetError
from plimsoll.runtime.model_formats.recognise import recognise
from plimsoll.runtime.packages import answers, settings, unpacking
from plimsoll.runtime.packages.fetching import Fetched, Fetching

from .stand_in import StandIn, sha256, stand_in, tarred, zipped

MODEL = b"\x08\x09a model"
METADATA = b"Metadata-Version: 2.4\nName: my-model\nLicense-Expression: Apache-2.0\n\nLicense: in the text\n"
WHEEL = {"my_model/deep/m.onnx": MODEL, "my_model/tokenizer.json": b"{}", "my_model-1.0.dist-info/METADATA": METADATA}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with stand_in() as server:
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"{server.url}/npm/")
        monkeypatch.setenv("MAVEN_REPOSITORY_URL", f"{server.url}/maven")
        monkeypatch.setenv("HF_ENDPOINT", f"{server.url}/hub")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


def fetched(folder: Path, source: str, tokenizer: str = "") -> Fetched:
    (folder / "to").mkdir(exist_ok=True)
    fetching = Fetching(folder=folder / "to", kept=folder / "kept", application=folder, stopped=lambda: False)
    return fetching.files(parse_source(source), tokenizer)


def refused(folder: Path, source: str, tokenizer: str = "") -> TargetError:
    with pytest.raises(TargetError) as caught:
        fetched(folder, source, tokenizer)
    assert "\n" not in caught.value.message
    return caught.value


def test_a_wheel_gives_model_tokenizer_and_licence(tmp_path: Path, site: StandIn) -> None:
    site.python("my-model", "my_model-1.0-py3-none-any.whl", zipped(WHEEL))
    found = fetched(tmp_path, "pypi:My_Model==1.0#*.onnx", "tokenizer.json")
    assert found.model.read_bytes() == MODEL
    assert found.tokenizer
    assert found.tokenizer.read_bytes() == b"{}"
    assert found.licence == "Apache-2.0"
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["model.onnx", "tokenizer.json"]


def test_a_source_archive_of_python_is_only_unpacked(tmp_path: Path, site: StandIn) -> None:
    files = {"my-model-1.0/setup.py": b"raise SystemExit('it ran')", "my-model-1.0/m.gguf": MODEL}
    classifiers = b"Classifier: License :: OSI Approved :: MIT License\n\n"
    site.python("my-model", "my_model-1.0.tar.gz", tarred({"my-model-1.0/PKG-INFO": classifiers, **files}))
    found = fetched(tmp_path, "pypi:my-model==1.0#*.gguf")
    assert (found.model.read_bytes(), found.licence) == (MODEL, "MIT License")


def test_an_index_that_has_only_html_does_too(tmp_path: Path, site: StandIn) -> None:
    wheel = zipped(WHEEL)
    site.pages["/files/my_model-1.0-py3-none-any.whl"] = wheel
    link = f"../../files/my_model-1.0-py3-none-any.whl#sha256={sha256(wheel)}"
    site.pages["/simple/my-model/"] = f'<!DOCTYPE html><a href="{link}" data-x="&gt;">my_model-1.0</a>'.encode()
    assert fetched(tmp_path, "pypi:my-model==1.0#*.onnx").model.read_bytes() == MODEL


def test_npm_and_maven_give_their_files_and_licences(tmp_path: Path, site: StandIn) -> None:
    site.node("@team/model", "2.0.1", tarred({"package/m.onnx": MODEL}))
    found = fetched(tmp_path, "npm:@team/model@2.0.1#*.onnx")
    assert (found.model.read_bytes(), found.licence) == (MODEL, "MIT")
    found.model.unlink()
    site.maven("org/team/model/1.0", "model-1.0", zipped({"m.onnx": MODEL, "META-INF/MANIFEST.MF": b""}))
    found = fetched(tmp_path, "maven:org.team:model:1.0#m.onnx")
    assert (found.model.read_bytes(), found.licence) == (MODEL, "Apache License, Version 2.0")


def test_a_file_of_a_hub_is_asked_for_with_the_user_s_token(
    tmp_path: Path, site: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.pages["/hub/team/model/resolve/main/onnx/model.onnx"] = MODEL
    site.pages["/hub/team/model/resolve/main/tokenizer.json"] = b"{}"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    found = fetched(tmp_path, "hf://team/model@main/onnx/model.onnx", "tokenizer.json")
    assert found.model.read_bytes() == MODEL
    assert found.tokenizer
    assert {credentials for _, credentials in site.asked} == {"Bearer hf_secret"}


def test_an_archive_that_is_not_what_the_registry_says_is_refused(tmp_path: Path, site: StandIn) -> None:
    site.python("my-model", "my_model-1.0-py3-none-any.whl", zipped(WHEEL), digest=sha256(b"another"))
    error = refused(tmp_path, "pypi:my-model==1.0#*.onnx")
    assert f"but the registry says {sha256(b'another')}" in error.message


def test_a_pattern_that_fits_none_or_several_says_what_there_is(tmp_path: Path, site: StandIn) -> None:
    files = {"a/one.onnx": MODEL, "a/two.onnx": MODEL, "readme.md": b""}
    site.python("my-model", "my_model-1.0-py3-none-any.whl", zipped(files))
    several = refused(tmp_path, "pypi:my-model==1.0#*.onnx")
    assert "2 files of the package fit '*.onnx': a/one.onnx, a/two.onnx" in several.message
    shutil.rmtree(tmp_path / "to")
    none = refused(tmp_path, "pypi:my-model==1.0#*.gguf")
    assert none.message == "no file of the package fits '*.gguf'"
    assert none.hint == "it has a/one.onnx, a/two.onnx"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("pypi:my-model==3.0#*.onnx", "the index has no archive of my-model 3.0"),
        ("pypi:nobody==1.0#*.onnx", "404"),
        ("npm:nobody@1.0#*.onnx", "404"),
        ("maven:org.team:nobody:1.0#*.onnx", "404"),
    ],
)
def test_what_a_registry_does_not_have_is_said_at_once(tmp_path: Path, site: StandIn, source: str, words: str) -> None:
    site.python("my-model", "my_model-1.0-py3-none-any.whl", zipped(WHEEL))
    error = refused(tmp_path, source)
    assert words in error.message
    assert error.where
    assert error.hint


def test_an_answer_that_is_no_json_or_too_long_is_refused(
    tmp_path: Path, site: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.pages["/simple/my-model/"] = b'{"files": 7}'
    assert "cannot be read" in refused(tmp_path, "pypi:my-model==1.0#*.onnx").message
    site.pages["/simple/my-model/"] = b"<html>hello</html>"
    assert "no archive of my-model 1.0" in refused(tmp_path, "pypi:my-model==1.0#*.onnx").message
    monkeypatch.setattr(answers, "MOST_BYTES", 4)
    assert "more than" in refused(tmp_path, "pypi:my-model==1.0#*.onnx").message


def linked() -> bytes:
    """A zip archive with a symbolic link that leads out."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("model.onnx")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    return buffer.getvalue()


HOSTILE = {
    "a link in a zip archive": (linked(), "neither a plain file"),
    "a link in a tar archive": (tarred({}, {"model.onnx": "/etc/passwd"}), "neither a plain file"),
    "a name that leads out": (tarred({"../../model.onnx": MODEL}), "leads out of the directory"),
    "no archive": (b"hello" * 100, "cannot be unpacked"),
    "a zip archive that is cut off": (zipped(WHEEL)[:-30], "cannot be unpacked"),
    "a tar archive that is cut off": (tarred({"model.onnx": MODEL * 1000})[:-30], "cannot be unpacked"),
}


@pytest.mark.parametrize("kind", list(HOSTILE))
def test_a_hostile_or_damaged_archive_is_refused(tmp_path: Path, site: StandIn, kind: str) -> None:
    content, words = HOSTILE[kind]
    site.python("my-model", "my_model-1.0-py3-none-any.whl", content)
    error = refused(tmp_path, "pypi:my-model==1.0#*model.onnx")
    assert words in error.message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "to"]


def test_an_archive_that_unpacks_to_far_more_than_it_has_is_refused(
    tmp_path: Path, site: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "ALWAYS_ALLOWED", 1000)
    site.python("my-model", "my_model-1.0-py3-none-any.whl", zipped({"m.onnx": b"\0" * 1_000_000}))
    assert "far more bytes" in refused(tmp_path, "pypi:my-model==1.0#*.onnx").message


def test_the_addresses_are_those_of_the_user_s_own_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "NPM_CONFIG_REGISTRY", "npm_config_registry",
                 "MAVEN_REPOSITORY_URL", "PIP_CONFIG_FILE", "XDG_CONFIG_HOME"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings.npm_registry() == settings.NPM
    assert settings.maven_repository() == settings.MAVEN
    for path, text in {
        ".config/pip/pip.conf": "[global]\nindex-url = https://mirror.test/simple/\n",
        ".npmrc": "fund=false\nregistry = https://mirror.test/npm/\n",
        ".m2/settings.xml": "<settings><mirrors><mirror><mirrorOf>central</mirrorOf>"
        "<url>https://mirror.test/maven</url></mirror></mirrors></settings>",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert settings.pypi_index() == "https://mirror.test/simple"
    assert settings.npm_registry() == "https://mirror.test/npm"
    assert settings.maven_repository() == "https://mirror.test/maven"


@pytest.mark.slow
@pytest.mark.series
def test_a_model_in_a_package_of_the_public_index_is_fetched_and_known(tmp_path: Path) -> None:
    found = fetched(tmp_path, "pypi:silero-vad==6.2.3#silero_vad_half.onnx")
    assert found.licence
    assert recognise(found.model, "silero-vad").format == "onnx"
