"""`spec.policies` in the file: what it says, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import FileError
from plimsoll.kinds.table import KINDS

HEAD = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: tiny}\nspec:\n  policies:\n"


def load(directory: Path, policies: str) -> ApplicationFile:
    path = directory / "plimsoll.yaml"
    path.write_text(HEAD + policies)
    file = KINDS.load(path)
    KINDS.check(file)
    return file


def test_all_words_are_read(tmp_path: Path) -> None:
    (tmp_path / "osv").mkdir()
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.rego").write_text("package plimsoll\n")
    text = (
        "    supply-chain:\n      require: [signed, provenance, sbom, scanned]\n"
        "      vulnerabilities: {database: osv, most: medium, complete: true, accepted: {CVE-2026-1: unreachable}}\n"
        "      licences: [MIT]\n      origins: ['pypi:acme-*']\n"
        "      images: {registries: [registry.example:5000/shop]}\n    pods: restricted\n    rules: rules\n"
    )
    policies = load(tmp_path, text).application.policies
    assert policies.any
    chain = policies.chain
    assert chain.require == ("signed", "provenance", "sbom", "scanned")
    assert chain.vulnerabilities is not None
    assert chain.vulnerabilities.accepted == {"CVE-2026-1": "unreachable"}
    assert chain.images is not None
    assert chain.images.pinned


def test_a_file_without_policies_has_none(tmp_path: Path) -> None:
    path = tmp_path / "plimsoll.yaml"
    path.write_text(HEAD.replace("  policies:\n", "  datasets: {}\n"))
    assert not KINDS.load(path).application.policies.any


@pytest.mark.parametrize(
    ("policies", "place", "words"),
    [
        ("    supply-chian: {require: [signed]}\n", "6:5", "did you mean 'supply-chain'?"),
        ("    {}\n", "5:3", "the policies ask for nothing"),
        ("    supply-chain: {}\n", "6:5", "asks for nothing"),
        ("    supply-chain: {require: [sined]}\n", "6:30", "did you mean 'signed'?"),
        ("    supply-chain: {require: signed}\n", "6:29", "write [signed]"),
        ("    supply-chain: {vulnerabilities: {most: low}}\n", "6:20", "has no key 'database'"),
        ("    supply-chain: {vulnerabilities: {database: osv}}\n", "6:48", "osv does not exist"),
        ("    supply-chain: {vulnerabilities: {database: ., most: mild}}\n", "6:57", "got the text 'mild'"),
        (
            "    supply-chain: {vulnerabilities: {database: ., accepted: {'p ump': x}}}\n",
            "6:62",
            "neither the id of an advisory",
        ),
        ("    supply-chain: {vulnerabilities: {database: ., accepted: {CVE-1-1: ''}}}\n", "6:71", "the text is empty"),
        ("    supply-chain: {origins: ['*']}\n", "6:30", "allows everything, or nothing"),
        ("    supply-chain: {licences: ['']}\n", "6:31", "allows everything, or nothing"),
        ("    supply-chain: {images: {pinned: false}}\n", "6:28", "asks for nothing of images"),
        ("    supply-chain: {images: {registries: ['https://registry.example']}}\n", "6:42", "is not a registry"),
        ("    supply-chain: {images: {registries: [registry.example/]}}\n", "6:42", "is not a registry"),
        ("    pods: baseline\n", "6:11", "restricted"),
        ("    rules: rules\n", "6:12", "rules does not exist"),
        ("    rules: plimsoll.yaml\n", "6:12", "files that end with .rego"),
        ("    rules: .\n", "6:12", "has no rules"),
    ],
)
def test_a_mistake_is_refused_with_its_place_and_what_to_do(
    tmp_path: Path, policies: str, place: str, words: str
) -> None:
    with pytest.raises(FileError) as refused:
        load(tmp_path, policies)
    assert refused.value.where.endswith(f"plimsoll.yaml:{place}")
    assert words in f"{refused.value.message} {refused.value.hint}"
