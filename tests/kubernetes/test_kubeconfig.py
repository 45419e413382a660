"""Which context a name means, what is merged of several kubeconfigs, and how one that cannot be read is told."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from plimsoll.errors import FileError
from plimsoll.kubernetes.kubeconfig import choosing, files, in_cluster, named, namespace_of
from tests.kubernetes.kubeconfigs import ALL, CLUSTER, Files


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


def test_a_context_without_a_user_shows_nothing(kubeconfigs: Files) -> None:
    kubeconfigs.have(one={**ALL, "contexts": [{"name": "x", "context": {"cluster": "c"}}]})
    found = named("x")
    assert (found.token, found.certificate, found.plugin, found.impersonation) == ("", None, None, None)


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
