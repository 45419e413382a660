"""Credential plugins: what they are asked, what they may answer, and when they are asked again."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plimsoll.errors import FileError
from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.kubernetes.connection import plugin_process
from plimsoll.kubernetes.memory import MemoryCluster
from tests.kubernetes.asking import config_map
from tests.kubernetes.ways import Authority, door

V1 = "client.authentication.k8s.io/v1"
V1BETA1 = "client.authentication.k8s.io/v1beta1"


class Setting:
    """A kubeconfig whose user has a plugin: a script in `bin`, beside the file."""

    def __init__(self, cluster: MemoryCluster, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cluster = cluster
        self.directory = directory
        self.calls = directory / "calls"
        self._opened: list[Api] = []
        (directory / "bin").mkdir(parents=True)
        monkeypatch.setenv("KUBECONFIG", str(directory / "config"))

    def script(self, text: str) -> None:
        """What the plugin does; each run of it leaves a line in `calls`."""
        script = self.directory / "bin" / "plugin"
        script.write_text(f'#!/bin/sh\necho "$KUBERNETES_EXEC_INFO" >> {self.calls}\n{text}\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def answer(self, status: Any, api_version: str = V1, kind: str = "ExecCredential") -> str:
        """A script's line that prints an answer."""
        content = json.dumps({"apiVersion": api_version, "kind": kind, "status": status})
        file = self.directory / f"answer-{len(list(self.directory.iterdir()))}"
        file.write_text(content)
        return f"cat {file}"

    def api(self, plugin: dict[str, Any] | None = None, to: dict[str, Any] | None = None, **user: Any) -> Api:
        """The API by the plugin."""
        fields = {"apiVersion": V1, "command": "bin/plugin", "interactiveMode": "Never", **(plugin or {})}
        content = {
            "clusters": [{"name": "c", "cluster": {"server": self.cluster.url, **(to or {})}}],
            "users": [{"name": "u", "user": {"exec": {k: v for k, v in fields.items() if v is not None}, **user}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        }
        (self.directory / "config").write_text(json.dumps(content))
        self._opened.append(Api("x"))
        return self._opened[-1]

    @property
    def asked(self) -> list[Any]:
        """What the plugin was told, run by run."""
        return [json.loads(line) for line in self.calls.read_text().splitlines()] if self.calls.exists() else []

    def close(self) -> None:
        for each in self._opened:
            each.close()


@pytest.fixture
def setting(cluster: MemoryCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    cluster.put(config_map("first", {"k": "v"}, namespace="here"))
    found = Setting(cluster, tmp_path / "away", monkeypatch)
    found.script(found.answer({"token": cluster.token}))
    yield found
    found.close()


def first(api: Api) -> object:
    return api.get("v1", "ConfigMap", "first", "here")["data"]


def refused(setting: Setting, plugin: dict[str, Any] | None = None) -> ApiError:
    """The error of a request that has no credentials; the server is not asked without."""
    with pytest.raises(ApiError) as found:
        setting.api(plugin).request("GET", "/version")
    assert found.value.where.startswith(f"{setting.directory / 'config'}:1:")
    assert not setting.cluster.seen()
    return found.value


@pytest.mark.parametrize("version", [V1, V1BETA1])
def test_a_plugin_gives_a_token_once_for_all_requests(setting: Setting, version: str) -> None:
    setting.script(setting.answer({"token": setting.cluster.token}, version))
    api = setting.api({"apiVersion": version})
    assert [first(api) for _ in range(3)] == [{"k": "v"}] * 3
    assert setting.asked == [{"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}]


def test_the_first_version_but_one_needs_no_interactive_mode(setting: Setting) -> None:
    setting.script(setting.answer({"token": setting.cluster.token}, V1BETA1))
    assert first(setting.api({"apiVersion": V1BETA1, "interactiveMode": None})) == {"k": "v"}


def test_a_plugin_has_its_arguments_and_its_environment_and_ours(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "ours")
    monkeypatch.setenv("BOTH", "ours")
    setting.script(f'echo "$OURS $BOTH $THEIRS $1 $2" > {setting.directory}/seen\n{setting.answer({"token": "t"})}')
    env = [{"name": "BOTH", "value": "theirs"}, {"name": "THEIRS", "value": "theirs"}]
    with pytest.raises(ApiError, match="Unauthorized"):
        setting.api({"env": env, "args": ["one word", "two"]}).request("GET", "/version")
    assert (setting.directory / "seen").read_text() == "ours theirs theirs one word two\n"


def test_a_plugin_is_told_of_the_cluster_where_it_shall_be(setting: Setting, tmp_path: Path) -> None:
    authority = Authority()
    (setting.directory / "ca.crt").write_text(authority.pem)
    config = {"audience": "here"}
    to = {
        "certificate-authority": "ca.crt",
        "tls-server-name": "127.0.0.1",
        "extensions": [
            {"name": "other", "extension": {"a": 1}},
            {"name": "client.authentication.k8s.io/exec", "extension": config},
        ],
    }
    with door(int(setting.cluster.url.rpartition(":")[2]), authority.issue("server", "127.0.0.1"), tmp_path) as tls:
        server = f"https://127.0.0.1:{tls.port}"
        assert first(setting.api({"provideClusterInfo": True}, {**to, "server": server})) == {"k": "v"}
    assert setting.asked[0]["spec"]["cluster"] == {
        "server": server,
        "tls-server-name": "127.0.0.1",
        "certificate-authority-data": base64.b64encode(authority.pem.encode()).decode(),
        "config": config,
    }


def test_a_bare_name_is_looked_up_on_the_path(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(setting.directory / "bin"), prepend=":")
    assert first(setting.api({"command": "plugin"})) == {"k": "v"}


def test_a_plugin_that_is_missing_is_told_with_its_install_hint(setting: Setting) -> None:
    problem = refused(setting, {"command": "none-such", "installHint": "\x1b[1mget it\x1b[0m from\x07 here"})
    assert problem.message == "the credential plugin 'none-such' of the user 'u' is not installed"
    assert (problem.hint, problem.status) == ("get it from here", 401)
    assert refused(setting, {"command": "./none"}).hint == "install it, or name its path in the kubeconfig"
    (setting.directory / "bin" / "plain").write_text("")
    assert "cannot be executed" in refused(setting, {"command": "bin/plain"}).message


def test_a_plugin_that_fails_is_told_with_its_words(setting: Setting) -> None:
    setting.script("echo first >&2; printf '\\033[31mnot logged in\\033[0m\\n' >&2; exit 7")
    problem = refused(setting)
    assert problem.message.endswith("ended with status 7: first / not logged in")
    assert problem.hint == f"run it yourself: {setting.directory}/bin/plugin"
    setting.script("kill -9 $$")
    assert refused(setting).message.endswith("was ended by signal 9")


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        ("", "it printed nothing"),
        ("no json", "it did not print JSON"),
        ("[]", "its answer is no ExecCredential: Expected `object`, got `array`"),
        ('{"kind": "Other", "apiVersion": "%s"}', "it printed a Other, and no ExecCredential"),
        ('{"status": {"token": "t"}}', "it printed a document without a kind, and no ExecCredential"),
        (
            '{"kind": "ExecCredential", "apiVersion": "v9"}',
            f"it answers in apiVersion v9, and the kubeconfig says {V1}",
        ),
        ('{"kind": "ExecCredential", "apiVersion": "%s"}', "its answer has no status"),
        ('{"kind": "ExecCredential", "apiVersion": "%s", "status": {}}', "its answer has neither a token nor a"),
        ('{"kind": "ExecCredential", "apiVersion": "%s", "status": {"token": "a\\nb"}}', "its token has a line break"),
        (
            '{"kind": "ExecCredential", "apiVersion": "%s", "status": {"token": 5}}',
            "its answer is no ExecCredential: Expected `str | null`, got `int` - at `$.status.token`",
        ),
        (
            '{"kind": "ExecCredential", "apiVersion": "%s", "status": {"clientKeyData": "k"}}',
            "its answer has a key alone, and not both",
        ),
        (
            '{"kind": "ExecCredential", "apiVersion": "%s", "status": {"token": "t", "expirationTimestamp": "soon"}}',
            "its answer is no ExecCredential: Invalid RFC3339 encoded datetime - at `$.status.expirationTimestamp`",
        ),
    ],
)
def test_an_answer_that_is_none_is_told(setting: Setting, printed: str, why: str) -> None:
    (setting.directory / "printed").write_text(printed.replace("%s", V1))
    setting.script(f"cat {setting.directory}/printed")
    assert f"gave no credentials: {why}" in refused(setting).message


def test_credentials_that_have_run_out_are_asked_for_again(setting: Setting) -> None:
    status = {"token": setting.cluster.token, "expirationTimestamp": "2020-01-01T00:00:00Z"}
    setting.script(setting.answer(status))
    api = setting.api()
    for _ in range(2):
        api.request("GET", "/version")
    assert len(setting.asked) == 2
    setting.script(setting.answer({**status, "expirationTimestamp": "2120-01-01T00:00:00+02:00"}))
    for _ in range(3):
        api.request("GET", "/version")
    assert len(setting.asked) == 3


def test_a_request_that_is_refused_is_sent_once_more_with_new_credentials(setting: Setting) -> None:
    good, old = setting.answer({"token": setting.cluster.token}), setting.answer({"token": "old"})
    setting.script(f"if [ -e {setting.directory}/renew ]; then {good}; else touch {setting.directory}/renew; {old}; fi")
    assert first(setting.api()) == {"k": "v"}
    assert len(setting.asked) == 2


def test_credentials_that_are_refused_for_good_are_renewed_once_a_request(setting: Setting) -> None:
    setting.script(setting.answer({"token": "wrong"}))
    with pytest.raises(ApiError, match="Unauthorized"):
        setting.api().request("GET", "/version")
    assert len(setting.asked) == 2


def test_what_a_request_carries_is_carried_by_the_second_try_too(setting: Setting) -> None:
    api = setting.api()
    api.kind("v1", "ConfigMap")
    setting.cluster._serving.users["new"] = setting.cluster._serving.users.pop(setting.cluster.token)
    setting.script(setting.answer({"token": "new"}))
    assert api.apply(config_map("second", {"k": "w"}, namespace="here"))["data"] == {"k": "w"}


def test_threads_that_ask_together_have_the_plugin_run_once(setting: Setting) -> None:
    setting.script(f"sleep 0.3; {setting.answer({'token': setting.cluster.token})}")
    api = setting.api()
    threads = [threading.Thread(target=api.request, args=("GET", "/version")) for _ in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert len(setting.asked) == 1


def test_a_plugin_can_give_a_certificate_and_another_one_later(setting: Setting, tmp_path: Path) -> None:
    authority = Authority()

    def status(name: str) -> dict[str, str]:
        pair = authority.issue(name)
        return {
            "clientCertificateData": pair.chain,
            "clientKeyData": pair.key,
            "expirationTimestamp": "2020-01-01T00:00:00Z",
        }

    (setting.directory / "ca.crt").write_text(authority.pem)
    port = int(setting.cluster.url.rpartition(":")[2])
    with door(port, authority.issue("server", "127.0.0.1"), tmp_path, authority) as tls:
        to = {"server": f"https://127.0.0.1:{tls.port}", "certificate-authority": "ca.crt"}
        setting.script(setting.answer(status("monday")))
        api = setting.api(to=to)
        api.request("GET", "/version")
        setting.script(setting.answer(status("tuesday")))
        api.request("GET", "/version")
        api.close()
    assert tls.clients == ["monday", "tuesday"]


def test_a_certificate_that_is_none_is_told(setting: Setting) -> None:
    setting.script(setting.answer({"clientCertificateData": "none", "clientKeyData": "none"}))
    with pytest.raises(ApiError, match="this client certificate and its key cannot be used") as found:
        setting.api().request("GET", "/version")
    assert found.value.where == f"the credential plugin {setting.directory}/bin/plugin"


def test_a_token_of_the_kubeconfig_comes_before_the_plugin(setting: Setting) -> None:
    assert first(setting.api(token=setting.cluster.token)) == {"k": "v"}
    assert not setting.asked


def test_a_plugin_that_does_not_end_is_ended(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_process, "LIMIT", 0.4)
    monkeypatch.setattr(plugin_process, "NOTICE", 0.2)
    setting.script(f"echo visit a page >&2; sleep 300 & echo $! > {setting.directory}/child; wait")
    problem = refused(setting)
    assert problem.message.endswith("gave no credentials within 0.4 s: visit a page")
    child = int((setting.directory / "child").read_text())
    while _runs(child):
        time.sleep(0.01)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_process_that_a_plugin_leaves_behind_holds_nothing_up(setting: Setting) -> None:
    setting.script(
        f"sleep 30 & {setting.answer({'token': setting.cluster.token})}; echo $! > {setting.directory}/child"
    )
    assert first(setting.api()) == {"k": "v"}
    subprocess.run(["kill", (setting.directory / "child").read_text().strip()], check=True)


def test_a_plugin_that_needs_a_terminal_is_refused_without_one(setting: Setting) -> None:
    problem = refused(setting, {"interactiveMode": "Always"})
    assert "needs a terminal to ask you" in problem.message
    assert not setting.asked


@pytest.mark.parametrize(("mode", "interactive"), [("Always", True), ("IfAvailable", True), ("Never", False)])
def test_a_plugin_reads_from_the_terminal_where_it_may(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, mode: str, interactive: bool
) -> None:
    monkeypatch.setattr(plugin_process, "_is_terminal", lambda stream: stream is sys.stdin)
    assert first(setting.api({"interactiveMode": mode})) == {"k": "v"}
    assert setting.asked[0]["spec"] == {"interactive": interactive}


Change = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize(
    ("fields", "why", "hint"),
    [
        ({"command": None}, "has no command", "add command"),
        ({"command": ""}, "has no command", "add command"),
        ({"apiVersion": None}, "has no apiVersion", f"add apiVersion: {V1}"),
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "v1alpha1, which is not supported", V1BETA1),
        ({"interactiveMode": None}, "has no interactiveMode", "Never, IfAvailable, Always"),
        ({"interactiveMode": "Maybe"}, "there is no interactiveMode 'Maybe'", "Never, IfAvailable, Always"),
        ({"env": [{"value": "v"}]}, "no name that a variable can have", "give it a name"),
        ({"env": [{"name": "a=b", "value": "v"}]}, "no name that a variable can have", "give it a name"),
        ({"arguments": ["a"]}, "no field 'arguments'", ""),
        ({"interactivemode": "Never"}, "no field 'interactivemode'", "did you mean 'interactiveMode'?"),
        ({"args": "one"}, "'args' of this kubeconfig must be a list, and is the text 'one'", "each entry begins"),
    ],
)
def test_a_plugin_that_cannot_be_asked_is_refused_with_its_place(
    setting: Setting, fields: dict[str, Any], why: str, hint: str
) -> None:
    with pytest.raises(FileError) as found:
        setting.api(fields)
    assert why in found.value.message
    assert hint in found.value.hint
    assert found.value.where.startswith(f"{setting.directory / 'config'}:1:")
