"""Services that ask who calls them, on a cluster in memory whose pods are real servers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from plimsoll.kinds.service_settings import Scale
from plimsoll.planning.steps import AnyStep, WorkerResources
from plimsoll.runtime.server.identities import token_file
from plimsoll.runtime.server.identities.cluster_settings import DEFAULT_ROLES, ClusterSettings
from plimsoll.runtime.server.identities.settings import AuthSettings, CallerLimits, JwtSettings
from plimsoll.runtime.server.service_file import ServiceFile
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests import callers
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, done
from tests.targets.kubernetes.serving import Inference, inference, registered, serve_step

API = names.service(APPLICATION, "api")
SECRET = f"{API}-callers"
BY_CLUSTER = ClusterSettings(namespace="", roles=DEFAULT_ROLES)


def served(auth: AuthSettings | None) -> ServedVersions:
    return ServedVersions(
        application=APPLICATION,
        service="api",
        file=ServiceFile(models=()),
        models={},
        key="k",
        resources=WorkerResources(),
        image="image",
        scale=Scale(),
        auth=callers.in_pods(auth, API, "shop") if auth else None,
    )


def test_what_a_pod_is_told_names_no_file_of_this_machine() -> None:
    auth = AuthSettings(
        tokens="secrets/tokens.json",
        jwt=JwtSettings(issuer="x", audience="m", jwks="keys/jwks.json"),
        limits=CallerLimits(rate=5),
    )
    found = served(auth)
    option, text = callers.words(found)
    told = json.loads(text)
    assert option == "--auth"
    assert told["tokens"] == "/plimsoll/callers/tokens.json"
    assert told["jwt"]["jwks"] == "/plimsoll/callers/jwks.json"
    assert told["anybody"] == ["metrics"]
    (volume,) = callers.volumes(found)
    assert volume["secret"]["secretName"] == SECRET
    assert [each["key"] for each in volume["secret"]["items"]] == ["tokens.json", "jwks.json"]
    assert callers.account_of(found) == APPLICATION
    assert list(callers.rights_to_ask(found, {})) == []


def test_servers_that_ask_the_cluster_have_an_account_with_that_right_and_no_other() -> None:
    found = served(AuthSettings(kubernetes=BY_CLUSTER))
    account, role, binding = callers.rights_to_ask(found, {})
    assert account["metadata"]["name"] == callers.account_of(found) == SECRET
    assert role["rules"] == [
        {"apiGroups": ["authorization.k8s.io"], "resources": ["localsubjectaccessreviews"], "verbs": ["create"]}
    ]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": SECRET}]
    told = json.loads(callers.words(found)[1])["kubernetes"]
    assert (told["namespace"], told["roles"]["infer"]["name"], told["account"]) == ("shop", API, SECRET)
    assert [each["name"] for each in callers.mounts(found)] == ["callers", "cluster"]
    assert callers.reached_ports(found) == (443, 6443)


def test_a_service_that_asks_nobody_is_as_it_was() -> None:
    found = served(None)
    assert (callers.words(found), callers.mounts(found), callers.volumes(found)) == ([], [], [])
    assert callers.account_of(found) == APPLICATION
    assert b"auth" not in msgspec.json.encode(found) or msgspec.to_builtins(found)["auth"] is None


class Guarded(Inference):
    """A service that answers the tokens of its Secret, as the real server does."""

    bench: Bench
    open = False
    """Whether it asks nobody."""
    out = False
    """Whether the cluster cannot be asked about tokens that are not in the Secret."""

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        if self._is_known():
            super().do_GET()

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        if self._is_known():
            super().do_POST()

    def _is_known(self) -> bool:
        given = self.headers.get("authorization", "").removeprefix("Bearer ")
        found = self.bench.find("Secret", SECRET)
        if type(self).open:
            return True
        assert found is not None
        tokens = json.loads(base64.b64decode(found["data"]["tokens.json"]))["tokens"]
        if token_file.digest(given) in {each["sha256"] for each in tokens}:
            return True
        content = b'{"error": "the cluster does not say who callers are"}'
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(503 if type(self).out else 401)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return False


@pytest.fixture
def guarded(bench: Bench) -> Iterator[Bench]:
    with inference(bench, answers=type("OfBench", (Guarded,), {"bench": bench})):
        yield bench


def asking(bench: Bench, model: AnyStep, **auth: Any) -> AnyStep:
    token_file.create(bench.directory / "tokens.json", f"shop-{len(auth)}", ("infer",), None)
    return serve_step(bench, model, auth=AuthSettings(tokens="tokens.json", **auth))


def content(bench: Bench) -> dict[str, bytes]:
    found = bench.find("Secret", SECRET)
    assert found is not None
    return {name: base64.b64decode(each) for name, each in found["data"].items()}


@pytest.mark.slow
def test_tokens_travel_as_a_secret_that_goes_with_the_service_and_a_run_proves_it_with_its_own(guarded: Bench) -> None:
    session = guarded.session()
    model = registered(guarded, session)
    token = token_file.create(guarded.directory / "tokens.json", "ada", ("infer",), None)
    done(session, asking(guarded, model))

    found = content(guarded)
    assert {each["name"] for each in json.loads(found["tokens.json"])["tokens"]} == {"ada", "shop-0", "plimsoll-run"}
    secrets = [found["run"].decode(), token, token_file.digest(token)]
    for each in guarded.cluster.list("v1", "ConfigMap", APPLICATION):
        assert not [secret for secret in secrets if secret in json.dumps(each)]
    for path in guarded.directory.rglob("*"):
        if path.is_file() and path.name != "tokens.json":
            assert found["run"] not in path.read_bytes(), path
    # A second run finds the token of the first, so that servers need not read a new one before they are tested.
    done(session, asking(guarded, model, limits=CallerLimits(rate=100)))
    assert content(guarded)["run"] == found["run"]
    owner = guarded.find("Secret", SECRET)
    assert owner is not None
    assert owner["metadata"]["ownerReferences"][0]["name"] == f"{API}-served"
    guarded.target().remove()
    assert guarded.cluster.wait_for(lambda: guarded.find("Secret", SECRET) is None)


@pytest.mark.slow
def test_a_secret_that_was_deleted_is_told_and_made_again(guarded: Bench) -> None:
    session = guarded.session()
    step = asking(guarded, registered(guarded, session))
    done(session, step)
    secret = guarded.find("Secret", SECRET)
    assert secret is not None
    guarded.cluster.delete({**secret, "apiVersion": "v1", "kind": "Secret"})
    assert f"Secret {SECRET} is gone" in guarded.target().service_notes("api")
    assert session.result(step) is None
    done(session, step)
    assert guarded.find("Secret", SECRET) is not None


@pytest.mark.slow
def test_the_secret_of_a_service_that_asks_nobody_any_more_is_removed(bench: Bench) -> None:
    answers = type("OfBench", (Guarded,), {"bench": bench})
    with inference(bench, answers=answers):
        session = bench.session()
        model = registered(bench, session)
        done(session, asking(bench, model))
        assert bench.find("Secret", SECRET) is not None
        answers.open = True  # type: ignore[attr-defined]

        done(session, serve_step(bench, model))

    assert bench.find("Secret", SECRET) is None


@pytest.mark.slow
def test_a_cluster_that_cannot_be_asked_ends_the_run_with_what_lets_it(bench: Bench) -> None:
    answers = type("OfBench", (Guarded,), {"bench": bench, "out": True})
    with inference(bench, answers=answers):
        session = bench.session()
        step = asking(bench, registered(bench, session), kubernetes=BY_CLUSTER)
        end = Carried(session.start(step, 1)).end()
    assert end.outcome == "failed"
    assert "the servers cannot ask the cluster whose a token is" in end.reason
