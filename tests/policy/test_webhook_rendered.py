"""The objects of the webhook, as `plimsoll policy webhook` prints them, and the webhook run as they say."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from cryptography import x509

from plimsoll.application.policies import Policies
from plimsoll.cli.verbs import policy
from plimsoll.errors import FileError
from plimsoll.policy.objects.pods import pods_of
from plimsoll.policy.objects.rules import asked as asked_rules
from plimsoll.runtime.admission import __main__ as program
from plimsoll.signing.keys import KeyRing

IMAGE = f"registry.example/plimsoll/runtime@sha256:{'a' * 64}"
USUAL = ("--guard", "shop", "--image", IMAGE, "--registry", "registry.example/shop")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))


def rendered(*arguments: str) -> dict[str, Any]:
    """The objects by kind; those of one kind by name."""
    result = CliRunner().invoke(policy.command, ["webhook", *arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    found: dict[str, Any] = {}
    for each in yaml.safe_load_all(result.output):
        found[f"{each['kind']}/{each['metadata']['name']}"] = each
    return found


def test_both_webhooks_fail_closed_in_the_namespaces_that_were_named() -> None:
    objects = rendered(*USUAL, "--guard", "bank")

    for kind, path in (("Mutating", "pin"), ("Validating", "judge")):
        (webhook,) = objects[f"{kind}WebhookConfiguration/plimsoll-admission-plimsoll-admission"]["webhooks"]
        assert (webhook["failurePolicy"], webhook["timeoutSeconds"], webhook["sideEffects"]) == ("Fail", 10, "None")
        (expression,) = webhook["namespaceSelector"]["matchExpressions"]
        assert (expression["key"], expression["values"]) == ("kubernetes.io/metadata.name", ["bank", "shop"])
        assert webhook["clientConfig"]["service"]["path"] == f"/{path}"
    resources = {each for rule in webhook["rules"] for each in rule["resources"]}
    assert {"pods", "pods/ephemeralcontainers", "cronjobs", "statefulsets", "jobsets"} <= resources


def test_the_certificate_is_by_the_authority_that_the_cluster_is_told_and_a_new_one_each_time() -> None:
    first, second = rendered(*USUAL), rendered(*USUAL)

    def parts(objects: dict[str, Any]) -> tuple[x509.Certificate, x509.Certificate]:
        (webhook,) = objects["ValidatingWebhookConfiguration/plimsoll-admission-plimsoll-admission"]["webhooks"]
        authority = base64.b64decode(webhook["clientConfig"]["caBundle"])
        leaf = base64.b64decode(objects["Secret/plimsoll-admission-tls"]["data"]["tls.crt"])
        return x509.load_pem_x509_certificate(authority), x509.load_pem_x509_certificate(leaf)

    (authority, leaf), (same, renewed) = parts(first), parts(second)
    leaf.verify_directly_issued_by(authority)
    assert same == authority
    assert leaf.serial_number != renewed.serial_number
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "plimsoll-admission.plimsoll-admission.svc" in names.get_values_for_type(x509.DNSName)


def test_its_own_pods_keep_the_rules_of_restricted_pods() -> None:
    deployment = rendered(*USUAL, "--registry-secret", "login")["Deployment/plimsoll-admission"]

    policies = Policies(pods="restricted")
    (pod,) = pods_of(deployment)
    rules = asked_rules(policies)
    assert rules
    assert [told for rule in rules for told in rule.problems(pod, policies)] == []


def test_the_program_takes_the_arguments_that_its_pod_has(monkeypatch: pytest.MonkeyPatch) -> None:
    more = ("--since", "2027-01-01", "--reached", "registry.example=registry.svc:5000")
    container = rendered(*USUAL, *more)["Deployment/plimsoll-admission"]["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["python", "-m", "plimsoll.runtime.admission"]
    monkeypatch.setattr("sys.argv", ["admission", *container["args"]])

    trust = program._trust(program._arguments())

    assert trust.registries == ("registry.example/shop",)
    assert trust.reached == {"registry.example": "registry.svc:5000"}
    assert trust.since is not None


def test_the_keys_are_those_that_are_trusted() -> None:
    keys = KeyRing.default()
    keys.signer()

    assert list(rendered(*USUAL)["ConfigMap/plimsoll-admission-keys"]["data"]) == [f"{keys.own_id()}.json"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--guard", "plimsoll-admission"), "admit its own pods"),
        (("--guard", "Shop"), "not the name of a namespace"),
        (("--registry", "Registry.example"), "no place of images"),
        (("--registry", "shop"), "no place of images"),
        (("--image", "registry.example/plimsoll/runtime:1"), "has no digest"),
    ],
)
def test_what_cannot_guard_is_refused(arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(FileError, match=told):
        rendered(*USUAL, *arguments)
