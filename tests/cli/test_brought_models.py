"""Models that are brought: registered and signed with where they are from, shown, served, gated by licence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.conftest import linear_model
from tests.runtime.packages.stand_in import StandIn, stand_in, zipped

from .conftest import Plimsoll, answer, write


@pytest.fixture
def site() -> Iterator[StandIn]:
    with stand_in() as server:
        yield server


@pytest.mark.slow
def test_a_model_of_a_package_is_registered_signed_shown_and_served_if_its_licence_is_allowed(
    tmp_path: Path, plimsoll: Plimsoll, site: StandIn
) -> None:
    model = linear_model(tmp_path / "any-name.bin").read_bytes()
    metadata = b"License: MIT License\n\n"
    files = {"pkg/m.bin": model, "pkg/tokenizer.json": b"{}", "pkg-1.0.dist-info/METADATA": metadata}
    site.python("pkg", "pkg-1.0-py3-none-any.whl", zipped(files))
    digest = hashlib.sha256(model).hexdigest()
    source = f'source: "pypi:pkg==1.0#m.bin", tokenizer: tokenizer.json, sha256: {digest}'
    text = f"  models: {{scorer: {{{source}, licences: [MIT]}}}}\n  services: {{scorer: {{model: scorer}}}}\n"
    write(tmp_path, text)
    index = {"PIP_INDEX_URL": f"{site.url}/simple"}

    ran = plimsoll("run", **index)
    assert ran.returncode == 0, ran.stderr
    assert "onnx, 0.0 MB, MIT" in ran.stdout
    shown = plimsoll("models", "scorer", "--verify").stdout
    for words in ("pypi:pkg==1.0#m.bin", "MIT, says its package", "model.onnx", "tokenizer.json", "verified"):
        assert words in shown
    assert "MIT" in plimsoll("models").stdout.splitlines()[1]
    (version,) = answer(plimsoll("models", "--json"))["models"]
    assert version["lineage"]["origin"]["sha256"] == digest
    assert version["lineage"]["data"] == {"source": digest}
    page = next((tmp_path / ".plimsoll" / "runs").glob("*/report.html")).read_text()
    assert "MIT, says its package" in page
    assert "pypi:pkg==1.0#m.bin" in page

    write(tmp_path, text.replace("[MIT]", "[Apache-2.0]"))
    gated = plimsoll("run", **index)
    assert gated.returncode == 1
    assert "its licence is MIT, expected Apache-2.0" in gated.stdout
    assert "✗ serve/scorer" in gated.stdout
    assert len([path for path, _ in site.asked if path.endswith(".whl")]) == 1, "it was fetched once"
