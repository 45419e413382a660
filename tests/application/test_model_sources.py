"""Where a brought model comes from, as a text of the file, and which licences are allowed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.application.licences import is_allowed, spdx_name
from plimsoll.application.model_sources import (
    Address,
    HubFile,
    LocalPath,
    ModelSource,
    OciFile,
    Package,
    is_pinned,
    parse_source,
)

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "source", "pinned"),
    [
        ("models/m.onnx", LocalPath(path="models/m.onnx"), False),
        ("https://site.test/m.onnx", Address(url="https://site.test/m.onnx"), False),
        ("s3://bucket/m.gguf", Address(url="s3://bucket/m.gguf"), False),
        ("pypi:a-b==1.0#*.onnx", Package(registry="pypi", name="a-b", version="1.0", pattern="*.onnx"), True),
        ("npm:@a/b@1.0-rc.1#x/*", Package(registry="npm", name="@a/b", version="1.0-rc.1", pattern="x/*"), True),
        ("maven:a.b:c:1.0#m", Package(registry="maven", name="a.b:c", version="1.0", pattern="m"), True),
        ("hf://a/b@main/x/m.onnx", HubFile(repository="a/b", revision="main", path="x/m.onnx"), False),
        (f"hf://a/b@{'c' * 40}/m", HubFile(repository="a/b", revision="c" * 40, path="m"), True),
        (f"oci://r.test:5000/a/b@{DIGEST}#m", OciFile(repository="r.test:5000/a/b", digest=DIGEST, pattern="m"), True),
    ],
)
def test_a_source_is_what_its_text_says(text: str, source: ModelSource, pinned: bool) -> None:
    assert parse_source(text) == source
    assert is_pinned(source) is pinned


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pypi:a", "pypi:NAME==VERSION#PATTERN"),
        ("pypi:a>=1.0#*.onnx", "pypi:NAME==VERSION#PATTERN"),
        ("pypi:a==1.0", "pypi:NAME==VERSION#PATTERN"),
        ("npm:../../x@1#y", "npm:NAME@VERSION#PATTERN"),
        ("maven:a:1.0#m", "maven:GROUP:ARTIFACT:VERSION#PATTERN"),
        ("hf://a/b/m.onnx", "hf://OWNER/NAME@REVISION/PATH"),
        ("hf://a/b@main/../../x", "hf://OWNER/NAME@REVISION/PATH"),
        ("oci://r.test/a:latest#m", "oci://REGISTRY/REPOSITORY@sha256:DIGEST#PATTERN"),
        ("ftp://site.test/m", "sources of ftp:// are not supported"),
    ],
)
def test_a_source_in_a_wrong_form_is_told_the_right_one(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_source(text)


@given(st.text(max_size=60))
def test_any_text_is_a_source_or_one_sentence(text: str) -> None:
    for scheme in ("", "pypi:", "npm:", "maven:", "hf://", "oci://"):
        try:
            parse_source(scheme + text)
        except ValueError as error:
            assert "\n" not in str(error).replace(text, "")


@pytest.mark.parametrize(
    ("licence", "allowed", "met"),
    [
        ("Apache-2.0", ["MIT", "Apache-2.0"], True),
        ("apache-2.0", ["Apache-2.0"], True),
        ("GPL-3.0-only", ["MIT", "Apache-2.0"], False),
        ("MIT OR GPL-3.0-only", ["MIT"], True),
        ("MIT AND GPL-3.0-only", ["MIT"], False),
        ("(MIT OR GPL-3.0-only) AND Apache-2.0", ["MIT", "Apache-2.0"], True),
        ("MIT OR GPL-3.0-only AND Apache-2.0", ["Apache-2.0"], False),
        ("Apache-2.0 WITH LLVM-exception", ["Apache-2.0"], False),
        ("Apache-2.0 WITH LLVM-exception", ["Apache-2.0 WITH LLVM-exception"], True),
        ("Gemma terms of use", ["Gemma terms of use"], True),
        ("MIT but not for commerce", ["MIT"], False),
        ("", ["MIT"], False),
        ("(" * 5000, ["MIT"], False),
        ("MIT OR", ["MIT"], False),
    ],
)
def test_an_expression_is_met_by_the_licences_that_are_allowed(licence: str, allowed: list[str], met: bool) -> None:
    assert is_allowed(licence, allowed) is met


def test_common_names_of_licences_get_those_of_spdx() -> None:
    names = {
        "The Apache Software License, Version 2.0": "Apache-2.0",
        "Apache License, Version 2.0": "Apache-2.0",
        "Apache Software License": "Apache-2.0",
        "apache 2.0": "Apache-2.0",
        "Apache License 1.1": "Apache License 1.1",
        "MIT License": "MIT",
        "The MIT License": "MIT",
        "BSD 3-Clause License": "BSD-3-Clause",
        "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
        "Apache-2.0": "Apache-2.0",
        "Gemma": "Gemma",
    }
    assert {text: spdx_name(text) for text in names} == names
