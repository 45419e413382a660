"""What a chosen context, its cluster and its user may not say, and how it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plimsoll.errors import FileError
from plimsoll.kubernetes.kubeconfig import named
from tests.kubernetes.kubeconfigs import ALL, Files


@pytest.mark.parametrize(
    ("context", "told"),
    [
        ({"cluster": "d", "user": "u"}, "the context 'x' names the cluster 'd', which no kubeconfig has"),
        ({"cluster": "c", "user": "v"}, "the context 'x' names the user 'v', which no kubeconfig has"),
        ({"user": "u"}, "the context 'x' names no cluster"),
        (None, "the context 'x' names no cluster"),
        (
            {"cluster": "c", "namespace": "Not_One"},
            "the namespace 'Not_One' of the context 'x' is no name of a namespace",
        ),
        ({"cluster": "c", "namspace": "one"}, "a kubeconfig has no field 'namspace' here"),
    ],
)
def test_a_context_that_leads_nowhere_is_told(kubeconfigs: Files, tmp_path: Path, context: Any, told: str) -> None:
    kubeconfigs.have(one={**ALL, "contexts": [{"name": "x", "context": context}]})
    with pytest.raises(FileError) as found:
        named("x")
    assert found.value.message == told
    assert found.value.where.startswith(f"{tmp_path / 'one'}:1:")


@pytest.mark.parametrize(
    ("cluster", "told"),
    [
        ({}, "the cluster 'c' names no server"),
        ({"server": ""}, "the cluster 'c' names no server"),
        ({"server": "ftp://one"}, "the server 'ftp://one' of the cluster 'c' is no address"),
        ({"server": "https://one:port"}, "the server 'https://one:port' of the cluster 'c' is no address"),
        ({"server": "https://"}, "the server 'https://' of the cluster 'c' is no address"),
        ({"server": "one/path"}, "the server 'one/path' of the cluster 'c' has a path and no scheme"),
        ({"server": "https://o", "proxy-url": "ftp://p"}, "the proxy-url 'ftp://p' of the cluster 'c' cannot be used"),
        ({"server": "https://o", "proxy-url": "p:80"}, "the proxy-url 'p:80' of the cluster 'c' cannot be used"),
        (
            {"server": "https://o", "insecure-skip-tls-verify": True, "certificate-authority": "f"},
            "the cluster 'c' has certificate-authority and insecure-skip-tls-verify",
        ),
        ({"server": "https://o", "certificate-authority-data": "?"}, "certificate-authority-data is not PEM in base64"),
        (
            {"server": "https://o", "certificate-authority-data": "-----BEGIN CERTIFICATE-----"},
            "certificate-authority-data is PEM itself, and must be PEM in base64",
        ),
        ({"server": "https://o", "proxyUrl": "http://p"}, "a kubeconfig has no field 'proxyUrl' here"),
    ],
)
def test_a_cluster_that_cannot_be_reached_so_is_told(
    kubeconfigs: Files, tmp_path: Path, cluster: dict[str, Any], told: str
) -> None:
    with pytest.raises(FileError) as found:
        kubeconfigs.with_cluster(**cluster)
    assert found.value.message == told
    assert found.value.where.startswith(f"{tmp_path / 'one'}:1:")
    assert found.value.hint


@pytest.mark.parametrize(
    ("user", "told"),
    [
        ({"auth-provider": {"name": "gcp"}}, "the user 'u' has the auth-provider 'gcp', which is not supported"),
        ({"token": "t", "username": "me"}, "the user 'u' has a token and a password; only one of them can be sent"),
        ({"password": "p"}, "the user 'u' has a password and no username"),
        ({"username": "a:b"}, "the username of the user 'u' has a colon, which basic authentication cannot send"),
        ({"token": "t\n"}, "the token of the user 'u' has a line break or another control character"),
        ({"client-key-data": "aGk="}, "the user 'u' has a client-key and no certificate"),
        ({"client-certificate-data": "aGk="}, "the user 'u' has a client-certificate and no key"),
        ({"as-groups": ["g"]}, "the user 'u' has as-groups without 'as'"),
        ({"as-uid": "7"}, "the user 'u' has as-uid without 'as'"),
        ({"as-user-extra": {"a": ["b"]}}, "the user 'u' has as-user-extra without 'as'"),
        ({"as": "a\r\nX: y"}, "the as of the user 'u' has a line break or another control character"),
        (
            {"as": "a", "as-groups": ["b\n"]},
            "the as-groups of the user 'u' has a line break or another control character",
        ),
        ({"As": "a"}, "a kubeconfig has no field 'As' here"),
        ({"impersonate": "a"}, "a kubeconfig has no field 'impersonate' here"),
        ({"token-file": "a"}, "a kubeconfig has no field 'token-file' here"),
    ],
)
def test_a_user_that_cannot_be_one_is_told(kubeconfigs: Files, tmp_path: Path, user: dict[str, Any], told: str) -> None:
    with pytest.raises(FileError) as found:
        kubeconfigs.with_user(**user)
    assert found.value.message == told
    assert found.value.where.startswith(f"{tmp_path / 'one'}:1:")
    assert found.value.hint


def test_a_file_that_a_kubeconfig_names_and_that_is_not_there_is_told(kubeconfigs: Files, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=f"certificate-authority names a file that is not there: {tmp_path}/ca"):
        kubeconfigs.with_cluster(server="https://o", **{"certificate-authority": "ca"})
