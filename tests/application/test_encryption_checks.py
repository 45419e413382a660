"""`spec.encryption`: a key in the wrong place is a mistake with its place in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.application.encryption_checks import check_clusters
from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import FileError
from plimsoll.kinds.table import KINDS


def file_with(directory: Path, encryption: str) -> ApplicationFile:
    path = directory / "plimsoll.yaml"
    head = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: tiny}\nspec:\n"
    path.write_text(head + f"  encryption: {encryption}\n  datasets: {{a: {{source: a.csv}}}}\n")
    (directory / "a.csv").touch()
    return KINDS.load(path)


@pytest.mark.parametrize(
    ("encryption", "place", "said"),
    [
        ("{key: {file: the.key}}", "5:28", "the key lies in the application's directory"),
        ("{key: {file: ./keys/../the.key}}", "5:28", "the key lies in the application's directory"),
        ("{key: {}}", "5:16", "it is not said where the key is"),
        ("{key: {file: ../the.key, env: PLIMSOLL_K}}", "5:16", "the key is in file and in env: one place is enough"),
        ("{key: {env: SHOP_KEY}}", "5:27", "PLIMSOLL_"),
        ("{key: {file: ../the.key}, workspace: scratch}", "5:52", "an absolute path"),
        ("{key: {file: ../the.key}, clusters: sealed}", "5:51", "clusters"),
        ("{}", "5:3", "key"),
        ("{key: {command: [kms], secret: shop/key}}", "5:38", "this machine from a command"),
        ("{key: {file: ../the.key, secret: shop}}", "5:48", "NAME/ENTRY"),
        ("{key: {secret: shop/key}}", "5:16", "it is not said where the key is"),
    ],
)
def test_a_key_in_a_wrong_place_is_refused_with_its_place(
    tmp_path: Path, encryption: str, place: str, said: str
) -> None:
    with pytest.raises(FileError) as refused:
        KINDS.check(file_with(tmp_path, encryption))
    assert f"plimsoll.yaml:{place}" in refused.value.where
    assert said in str(refused.value)


def test_a_cluster_is_refused_until_the_file_knows_what_is_in_clear_there(tmp_path: Path) -> None:
    file = file_with(tmp_path, "{key: {file: ../the.key}}")
    check_clusters(file, ["local"])
    with pytest.raises(FileError, match="on onprem would lie in a registry in clear"):
        check_clusters(file, ["local", "onprem"])
    check_clusters(file_with(tmp_path, "{key: {file: ../the.key, secret: shop/key}}"), ["onprem"])
    check_clusters(file_with(tmp_path, "{key: {file: ../the.key}, clusters: plain}"), ["onprem"])
