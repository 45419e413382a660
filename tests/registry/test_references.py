from __future__ import annotations

import pytest

from plimsoll.errors import FileError
from plimsoll.registry.references import parse_reference

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "registry", "repository", "target"),
    [
        ("localhost:5000/team/app:1", "localhost:5000", "team/app", "1"),
        (f"example.org/app:1@{DIGEST}", "example.org", "app", DIGEST),
        ("[::1]:5000/app", "[::1]:5000", "app", "latest"),
        ("python:3.11-slim", "docker.io", "library/python", "3.11-slim"),
        ("bitnami/minio", "docker.io", "bitnami/minio", "latest"),
        ("index.docker.io/library/python", "docker.io", "library/python", "latest"),
    ],
)
def test_a_reference_is_read_as_other_tools_read_it(text: str, registry: str, repository: str, target: str) -> None:
    found = parse_reference(text)
    assert (found.registry, found.repository, found.target) == (registry, repository, target)
    assert parse_reference(str(found)) == found


@pytest.mark.parametrize(
    "text", ["", "a b", "example.org/", "example.org/App", "example.org/a:b:c", "a@sha256:1", "a@b"]
)
def test_an_invalid_reference_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(FileError):
        parse_reference(text)
