"""Which context a name means, what is merged of several kubeconfigs, and how a wrong one is told."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plimsoll.errors import FileError
from plimsoll.kubernetes.kubeconfig import Access, choosing, files, in_cluster, named, namespace_of

CLUSTER = {"server": "https://one.example:6443"}
ALL: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "preferences": {"colors": True},
    "clusters": [{"name": "c", "cluster": CLUSTER}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLIMSOLL_LAB", str(tmp_path / "lab"))
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


class Files:
    """Kubeconfigs by their names, all of which KUBECONFIG names in order."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self._monkeypatch = monkeypatch

    def have(self, **content: Any) -> None:
        for name, each in content.items():
            path = self.directory / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(each if isinstance(each, str) else json.dumps(each))
        self.list(*content)

    def list(self, *names: str) -> None:
        paths = [str(self.directory / name.replace("__", "/")) for name in names]
        self._monkeypatch.setenv("KUBECONFIG", os.pathsep.join(paths))

    def with_user(self, **user: Any) -> Access:
        self.have(one={**ALL, "users": [{"name": "u", "user": user}]})
        return named("x")

    def with_cluster(self, **cluster: Any) -> Access:
        self.have(one={**ALL, "clusters": [{"name": "c", "cluster": cluster}]})
        return named("x")


@pytest.fixture
def kubeconfigs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    return Files(tmp_path, monkeypatch)


def only(*kinds: str) -> dict[str, Any]:
    return {kind: ALL[kind] for kind in kinds}


def test_a_context_takes_its_cluster_and_its_user_from_other_files(kubeconfigs: Files) -> None:
    kubeconfigs.have(a=only("contexts"), b=only("clusters"), c=only("users"))
    found = named("x")
    assert (found.server, found.token, found.context) == ("https://one.example:6443", "t", "x")


def test_the_first_file_that_has_a_name_gives_all_of_its_entry(kubeconfigs: Files) -> None:
    second = {**ALL, "users": [{"name": "u", "user": {"token": "other", "as": "somebody"}}]}
    kubeconfigs.have(a=ALL, b=second)
    assert (named("x").token, named("x").impersonation) == ("t", None)
    kubeconfigs.list("b", "a")
    assert named("x").token == "other"


@pytest.mark.parametrize(
    "nothing", ["", "---\n", "# nothing\n", "null", "{}", '{"clusters": null, "users": [], "contexts": null}']
)
def test_a_file_without_anything_in_it_says_nothing(kubeconfigs: Files, nothing: str) -> None:
    kubeconfigs.have(empty=nothing, whole=ALL)
    assert named("x").token == "t"


def test_files_that_are_not_there_are_passed_over(kubeconfigs: Files) -> None:
    kubeconfigs.have(whole=ALL)
    kubeconfigs.list("none", "whole", "whole", "whole/none")
    assert named("x").token == "t"


def test_without_a_variable_the_file_of_the_home_directory_counts(
    kubeconfigs: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfigs.have(home__dotkube=ALL)
    (tmp_path / "home" / ".kube").mkdir()
    (tmp_path / "home" / "dotkube").rename(tmp_path / "home" / ".kube" / "config")
    for value in ("", ":"):
        monkeypatch.setenv("KUBECONFIG", value)
        assert named("x").token == "t"


def test_paths_are_those_from_the_directory_of_their_file(
    kubeconfigs: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exec_ = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "../bin/plugin"}
    user = {"tokenFile": "secrets/token", "exec": exec_}
    authority = {"server": "https://one.example", "certificate-authority": "ca.crt"}
    kubeconfigs.have(
        a={"contexts": ALL["contexts"]},
        b__file={"clusters": [{"name": "c", "cluster": authority}]},
        c__file={"users": [{"name": "u", "user": user}]},
        b__ca_crt="the authority",
    )
    (tmp_path / "b" / "ca_crt").rename(tmp_path / "b" / "ca.crt")
    kubeconfigs.list("a", "b/file", "c/file")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("KUBECONFIG", "../a:../b/file:../c/file")
    found = named("x")
    assert found.authorities == "the authority"
    assert Path(found.token_file).resolve() == tmp_path / "c" / "secrets" / "token"
    assert found.plugin is not None
    assert Path(found.plugin.command).resolve() == tmp_path / "bin" / "plugin"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{{{ no yaml", 2),
        ("clusters: []\n\tusers: []", 2),
        ("clusters: []\nclusters: []", 2),
        ("a: &x [*x]", 1),
        ("clusters: !!python/object:os.system x", 1),
        ("a: b\n\x07", 2),
        ("[" * 5000, 1),
        ("? [a]\n: b", 1),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(kubeconfigs: Files, tmp_path: Path, text: str, line: int) -> None:
    kubeconfigs.have(broken=text)
    with pytest.raises(FileError) as found:
        named("x")
    assert found.value.where.startswith(f"{tmp_path / 'broken'}:{line}:")


@pytest.mark.parametrize(
    ("text", "told", "where"),
    [
        ("- a", "a kubeconfig must be a mapping of keys to values, and is a list", "1:1"),
        ("text", "a kubeconfig must be a mapping of keys to values, and is the text 'text'", "1:1"),
        ("clusters:\n  c: {}", "'clusters' of this kubeconfig must be a list, and is a mapping", "2:3"),
        (
            "clusters:\n- c",
            "this entry of the kubeconfig must be a mapping of keys to values, and is the text 'c'",
            "2:3",
        ),
        ("clusters:\n- name: 5", "'name' of this kubeconfig must be text, and is the number 5", "2:9"),
        (
            "clusters:\n- cluster: {insecure-skip-tls-verify: 'yes'}",
            "'insecure-skip-tls-verify' of this kubeconfig must be true or false, and is the text 'yes'",
            "2:39",
        ),
        ("users:\n- user: {token: 12345}", "'token' of this kubeconfig must be text, and is a number", "2:17"),
        (
            "users:\n- user:\n    as-groups: one",
            "'as-groups' of this kubeconfig must be a list, and is the text 'one'",
            "3:16",
        ),
        (
            "users:\n- user:\n    as-user-extra: {a: one}",
            "'as-user-extra' of this kubeconfig must be a list, and is text",
            "3:20",
        ),
        ("kind: Deployment", "this is a Deployment, not a kubeconfig", "1:7"),
        ("apiVersion: v2", "there is no apiVersion 'v2' of kubeconfigs", "1:13"),
        ("users:\n- name: u\n- name: u", "the user 'u' is there twice; the first is at {file}:2:3", "3:3"),
    ],
)
def test_what_is_no_kubeconfig_is_told_with_its_place(
    kubeconfigs: Files, tmp_path: Path, text: str, told: str, where: str
) -> None:
    kubeconfigs.have(wrong=text)
    with pytest.raises(FileError) as found:
        named("x")
    file = str(tmp_path / "wrong")
    assert (found.value.message, found.value.where) == (told.replace("{file}", file), f"{file}:{where}")


def test_anchors_and_merge_keys_are_followed_and_dates_are_text(kubeconfigs: Files) -> None:
    text = """
clusters:
- name: 2024-01-01
  cluster: &base {server: "https://one.example", tls-server-name: one}
- name: 12:30
  cluster: {<<: *base, tls-server-name: two}
contexts:
- name: x
  context: {cluster: 2024-01-01}
- name: y
  context: {cluster: 12:30}
"""
    kubeconfigs.have(one=text)
    assert [named(each).tls_server_name for each in "xy"] == ["one", "two"]
    assert {named(each).server for each in "xy"} == {"https://one.example"}


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-8"])
def test_a_file_may_begin_with_a_byte_order_mark(kubeconfigs: Files, tmp_path: Path, coding: str) -> None:
    (tmp_path / "one").write_bytes(yaml.safe_dump(ALL).encode(coding))
    kubeconfigs.list("one")
    assert named("x").token == "t"


def test_what_is_not_text_is_told_with_its_place(kubeconfigs: Files, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"a: 1\nb: \xff")
    kubeconfigs.list("one")
    with pytest.raises(FileError, match="this is not UTF-8 text") as found:
        named("x")
    assert found.value.where == f"{tmp_path / 'one'}:2:4"


def test_a_directory_is_no_kubeconfig(kubeconfigs: Files) -> None:
    kubeconfigs.list("")
    with pytest.raises(FileError, match="cannot be read: Is a directory"):
        named("x")


def test_a_pipe_is_read_to_its_end(kubeconfigs: Files, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    threading.Thread(target=(tmp_path / "pipe").write_text, args=(json.dumps(ALL),), daemon=True).start()
    kubeconfigs.list("pipe")
    # What has been read from a pipe is gone from it, and is asked for more than once.
    assert [named("x").token, named("x").token, namespace_of("x")] == ["t", "t", ""]


def test_a_pipe_that_nobody_writes_to_holds_nothing_up(
    kubeconfigs: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PIPE_LIMIT", 0.1)
    os.mkfifo(tmp_path / "pipe")
    kubeconfigs.list("pipe")
    with pytest.raises(FileError, match="nothing was written to this pipe"):
        named("x")


def test_a_context_that_there_is_not_is_told_with_those_that_there_are(kubeconfigs: Files, tmp_path: Path) -> None:
    contexts: list[Any] = [{"name": name, "context": {}} for name in ("production", "staging")]
    kubeconfigs.have(one={**ALL, "contexts": contexts})
    with pytest.raises(FileError) as found:
        named("productoin")
    assert found.value.message == f"there is no context 'productoin' in {tmp_path / 'one'}"
    assert found.value.hint == "did you mean 'production'? There are: production, staging"
    kubeconfigs.list("none")
    with pytest.raises(FileError) as found:
        named("x")
    assert found.value.hint == "set KUBECONFIG, or make ~/.kube/config"


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


def test_a_context_without_a_user_shows_nothing(kubeconfigs: Files) -> None:
    kubeconfigs.have(one={**ALL, "contexts": [{"name": "x", "context": {"cluster": "c"}}]})
    found = named("x")
    assert (found.token, found.certificate, found.plugin, found.impersonation) == ("", None, None, None)


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


def test_fields_of_contexts_that_are_not_asked_for_are_not_checked(kubeconfigs: Files) -> None:
    other = {"name": "v", "user": {"auth-provider": {"name": "gcp"}, "of-tomorrow": 1}}
    kubeconfigs.have(one={**ALL, "users": [*ALL["users"], other]})
    assert named("x").token == "t"


@pytest.mark.parametrize(
    ("cluster", "server"),
    [
        ({"server": "10.0.0.1:6443", "insecure-skip-tls-verify": True}, "https://10.0.0.1:6443"),
        ({"server": "localhost:8080"}, "http://localhost:8080"),
        ({"server": "https://one/k8s/clusters/c-1"}, "https://one/k8s/clusters/c-1"),
        ({"server": "https://[::1]:6443"}, "https://[::1]:6443"),
    ],
)
def test_the_address_of_a_server(kubeconfigs: Files, cluster: dict[str, Any], server: str) -> None:
    assert kubeconfigs.with_cluster(**cluster).server == server


def test_a_context_names_its_namespace(kubeconfigs: Files) -> None:
    kubeconfigs.have(one={**ALL, "contexts": [{"name": "x", "context": {"cluster": "c", "namespace": "team"}}]})
    assert (named("x").namespace, namespace_of("x"), namespace_of("none")) == ("team", "team", "")


def test_a_pod_has_a_context_of_its_own(kubeconfigs: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfigs.list("none")
    with pytest.raises(FileError, match="there is no context 'in-cluster'") as found:
        named("in-cluster")
    assert found.value.hint == "that is the account of a pod, and this process does not run in one"
    monkeypatch.setattr(in_cluster, "ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (tmp_path / "token").write_text("t\n")
    with pytest.raises(FileError, match=r"has no ca\.crt"):
        named("in-cluster")
    (tmp_path / "ca.crt").write_text("the authority")
    (tmp_path / "namespace").write_text("here\n")
    access = named("in-cluster")
    assert (access.server, access.namespace, access.authorities) == ("https://[fd00::1]:443", "here", "the authority")
    assert access.token_file == str(tmp_path / "token")
    assert namespace_of("in-cluster") == "here"
    kubeconfigs.have(one={**ALL, "contexts": [{"name": "in-cluster", "context": {"cluster": "c", "user": "u"}}]})
    assert named("in-cluster").server == CLUSTER["server"]


def test_the_lab_is_a_context_unless_another_has_its_name(kubeconfigs: Files, tmp_path: Path) -> None:
    kubeconfigs.list("none")
    with pytest.raises(FileError, match="there is no context 'lab'"):
        named("lab")
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "kubeconfig").write_text(json.dumps({**ALL, "current-context": "x"}))
    assert named("lab").context == "x"


def test_the_current_context_is_that_of_the_first_file_that_says_one(kubeconfigs: Files) -> None:
    kubeconfigs.have(a={**ALL, "current-context": ""}, b={"current-context": "x"}, c={"current-context": "y"})
    assert choosing._merged(files.kubeconfigs()).current == "x"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just("c"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("server", "token", "as", "as-groups", "as-user-extra", "exec", "proxy-url", "certificate-authority-data")


def field_or_not(*fields: str) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(fields) | st.text(max_size=4), VALUES, max_size=4) | VALUES


DOCUMENTS = st.fixed_dictionaries(
    {
        "clusters": st.just(ALL["clusters"])
        | st.lists(st.fixed_dictionaries({"name": st.just("c"), "cluster": field_or_not(*KEYS)}), max_size=2)
        | VALUES,
        "users": st.just(ALL["users"])
        | st.lists(st.fixed_dictionaries({"name": st.just("u"), "user": field_or_not(*KEYS)}), max_size=2)
        | VALUES,
        "contexts": st.just(ALL["contexts"])
        | st.lists(
            st.fixed_dictionaries({"name": st.just("x"), "context": field_or_not("cluster", "user", "namespace")}),
            max_size=2,
        )
        | VALUES,
    }
)
GENTLE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@GENTLE
@given(document=DOCUMENTS)
def test_a_kubeconfig_of_any_content_is_understood_or_refused_in_its_place(
    kubeconfigs: Files, tmp_path: Path, document: Any
) -> None:
    kubeconfigs.have(any=json.dumps(document))
    try:
        assert isinstance(named("x"), Access)
    except FileError as error:
        assert str(tmp_path / "any") in str(error)


@GENTLE
@given(cut=st.integers(0, 300), put=st.text(max_size=6), more=st.binary(max_size=4))
def test_a_kubeconfig_that_was_cut_or_overwritten_is_understood_or_refused_in_its_place(
    kubeconfigs: Files, tmp_path: Path, cut: int, put: str, more: bytes
) -> None:
    text = yaml.safe_dump(ALL)
    (tmp_path / "any").write_bytes((text[:cut] + put).encode(errors="replace") + more + text[cut + 2 :].encode())
    kubeconfigs.list("any")
    try:
        assert isinstance(named("x"), Access)
    except FileError as error:
        assert str(tmp_path / "any") in str(error)
