"""Who may ask a service, as the file says it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from plimsoll.engine.preparation import prepare
from plimsoll.errors import FileError
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.service import SERVICES
from plimsoll.kinds.service_callers import is_local, settings_of
from plimsoll.kinds.table import KINDS
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import Step
from plimsoll.runtime.server.identities import token_file
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.kubernetes.lacks import lacks
from plimsoll.targets.local.target import LACKS
from plimsoll.targets.memory import MemoryTarget

HEAD = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: tiny}
spec:
  models:
    m: {train: {run: python train.py}}
  services:
"""
ISSUER = "https://login.example"


def checked(directory: Path, service: str) -> None:
    path = directory / "plimsoll.yaml"
    path.write_text(f"{HEAD}    a: {{model: m, {service}}}\n")
    (directory / "train.py").write_text("")
    if not (directory / "tokens.json").exists():
        token_file.create(directory / "tokens.json", "shop", ("infer",), None)
    KINDS.check(KINDS.load(path), "local")


@pytest.mark.parametrize(
    "service",
    [
        "host: localhost",
        "host: 127.0.0.2",
        'host: "::1"',
        "host: 0.0.0.0, auth: none",
        "auth: none",
        "host: 0.0.0.0, auth: {tokens: tokens.json}",
        "auth: {tokens: tokens.json, limits: {rate: 10, concurrent: 2, bytes: 10Mi}}",
        f"host: 10.0.0.7, auth: {{jwt: {{issuer: '{ISSUER}', audience: models}}}}",
        "auth: {jwt: {issuer: anything, audience: models, jwks: 'http://127.0.0.1:8080/keys'}}",
        "hosts: [models.example]",
        "host: 0.0.0.0, auth: {kubernetes: {}}",
        "auth: {kubernetes: {audience: m, roles: {infer: {verb: get, resource: labels, group: x.org, name: a}}}}",
        "auth: {tokens: tokens.json, limits: {memory: 64Mi}}",
    ],
)
def test_a_service_says_who_may_ask(tmp_path: Path, service: str) -> None:
    checked(tmp_path, service)


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("host: 0.0.0.0", "host 0.0.0.0 lets other machines ask"),
        ('host: "::"', "lets other machines ask"),
        ("host: 10.0.0.7", "auth: none"),
        ("host: 127.example.com", "lets other machines ask"),
        ("host: models.example", "lets other machines ask"),
        ("auth: nobody", "auth"),
        ("auth: {}", "add `tokens` or `jwt`"),
        ("auth: {limits: {rate: 1}}", "limits are by caller"),
        ("auth: {tokens: token.json}", "did you mean 'tokens.json'"),
        ("auth: {tokens: train.py}", "no file of tokens"),
        ("auth: {tokens: tokens.json, limits: {rate: 0}}", "rate"),
        ("auth: {tokens: tokens.json, limits: {bytes: lots}}", "bytes"),
        ("auth: {jwt: {issuer: 'http://login.example', audience: m}}", "no https address"),
        ("auth: {jwt: {issuer: login, audience: m}}", "no https address"),
        ("auth: {jwt: {issuer: x, audience: m, jwks: 'http://10.0.0.1/keys'}}", "no https address"),
        ("auth: {jwt: {issuer: x, audience: m, jwks: 'ftp://login.example/keys'}}", "no https address"),
        ("auth: {jwt: {issuer: x, audience: m, jwks: keys.json}}", "keys.json"),
        (f"auth: {{jwt: {{issuer: '{ISSUER}', audience: m, algorithms: [HS256]}}}}", "HS256"),
        (f"auth: {{jwt: {{issuer: '{ISSUER}', audience: m, algorithms: [none]}}}}", "none"),
        (f"auth: {{jwt: {{issuer: '{ISSUER}'}}}}", "audience"),
        ("hosts: ['http://x']", "expected a name of a host"),
        ("auth: {kubernetes: {roles: {root: {verb: get, resource: pods}}}}", "root"),
        ("auth: {kubernetes: {roles: {infer: {verb: GET, resource: pods}}}}", "a verb of RBAC"),
        ("auth: {kubernetes: {roles: {infer: {verb: get, resource: 'a/b/c'}}}}", "a resource in the plural"),
        (f"auth: {{kubernetes: {{}}, jwt: {{issuer: '{ISSUER}', audience: m}}}}", "both judge JSON Web Tokens"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, service: str, words: str) -> None:
    with pytest.raises(FileError) as raised:
        checked(tmp_path, service)
    assert ":8:" in raised.value.where
    assert words in str(raised.value) + raised.value.hint


def test_a_file_of_tokens_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    token_file.create(tmp_path / "tokens.json", "shop", ("infer",), None)
    (tmp_path / "tokens.json").chmod(0o666)
    with pytest.raises(FileError, match="everybody may write"):
        checked(tmp_path, "auth: {tokens: tokens.json}")


def test_the_server_is_told_of_limits_in_its_own_units(tmp_path: Path) -> None:
    checked(tmp_path, "auth: {tokens: tokens.json, limits: {rate: 2.5, bytes: 1Ki}}")
    service = SERVICES.of(KINDS.load(tmp_path / "plimsoll.yaml").application)["a"]
    settings = settings_of(service)
    assert settings is not None
    assert (settings.tokens, settings.limits.rate, settings.limits.bytes) == ("tokens.json", 2.5, 1024.0)


@pytest.mark.parametrize("host", ["127.0.0.1.example.com", "0.0.0.0", "::", "localhost.example", "1.2.3.4", "127.1"])
def test_a_name_that_only_looks_local_is_not(host: str) -> None:
    assert not is_local(host)


def test_a_cluster_whose_front_knows_names_refuses_them_with_their_place(tmp_path: Path) -> None:
    word = "hosts: [shop.example]"
    (tmp_path / "plimsoll.yaml").write_text(
        "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: shop}\nspec:\n"
        "  models: {m: {train: {run: echo}}}\n  services:\n    m:\n      model: m\n      " + word + "\n"
    )
    facts = TargetFacts(target="lab", cpu=4, memory=2**32, lacks=lacks(""))
    with pytest.raises(FileError, match="what stands before a service there encrypts") as refused:
        prepare(tmp_path / "plimsoll.yaml", MemoryTarget(facts, state=StateDirectory(tmp_path, "memory")))
    assert ":9:" in refused.value.where
    assert "a gateway before the service does it" in refused.value.hint


def planned(directory: Path, service: str, facts: TargetFacts) -> Step[Serve]:
    """The step of a service on a target with these facts."""
    (directory / "train.py").write_text("print()")
    path = directory / "plimsoll.yaml"
    path.write_text(f"{HEAD}    a: {{model: m, {service}}}\n")
    prepared = prepare(path, MemoryTarget(facts, state=StateDirectory(directory, "memory")))
    return cast("Step[Serve]", next(step for step in prepared.plan.steps if isinstance(step.work, Serve)))


def test_another_token_is_a_change_of_a_service_to_which_the_file_has_to_be_brought(tmp_path: Path) -> None:
    service, here = "auth: {tokens: tokens.json}", TargetFacts(target="local", cpu=4, memory=2**32)
    there = replace(here, target="lab", lacks=lacks(""))
    token_file.create(tmp_path / "tokens.json", "shop", ("infer",), None)
    before = [planned(tmp_path, service, facts).key for facts in (here, there)]
    token_file.create(tmp_path / "tokens.json", "till", ("infer",), None)
    after = [planned(tmp_path, service, facts).key for facts in (here, there)]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False]


def test_a_machine_without_a_cluster_refuses_its_tokens_with_their_place(tmp_path: Path) -> None:
    facts = TargetFacts(target="local", cpu=4, memory=2**32, lacks=LACKS)
    with pytest.raises(FileError, match="no cluster is there to ask") as refused:
        planned(tmp_path, "auth: {kubernetes: {}}", facts)
    assert ":8:" in refused.value.where
    assert "name callers by tokens or jwt there" in refused.value.hint


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("port: 8080", ""),
        ("auth: none", ""),
        ("auth: {tokens: tokens.json}", "known ones, by tokens of its file"),
        ("auth: {tokens: tokens.json, kubernetes: {}}", "known ones, by tokens of its file and tokens of the cluster"),
        (f"auth: {{jwt: {{issuer: '{ISSUER}', audience: m}}}}", f"known ones, by tokens of {ISSUER}"),
    ],
)
def test_a_plan_says_who_may_ask(tmp_path: Path, service: str, words: str) -> None:
    token_file.create(tmp_path / "tokens.json", "shop", ("infer",), None)
    facts = TargetFacts(target="lab", cpu=4, memory=2**32, lacks=lacks(""))
    assert planned(tmp_path, service, facts).work.callers == words
