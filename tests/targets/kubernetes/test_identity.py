"""Pods that are somebody to their cloud: their account, what is not mounted, and where a platform has no such."""

from __future__ import annotations

from typing import Any

import pytest

from plimsoll.application.isolation import Isolation
from plimsoll.application.pod_identity import PodIdentity
from plimsoll.errors import FileError
from plimsoll.kinds.dataset import Fetch
from plimsoll.kubernetes.api import Api
from plimsoll.planning.steps import AnyStep, Ingredient, Plan
from tests.targets.kubernetes.bench import APPLICATION, Bench, done
from tests.targets.kubernetes.clouds import node, prepared

pytestmark = pytest.mark.slow

ROLE = PodIdentity(aws_role="arn:aws:iam::123456789012:role/orders")
GOOGLE = PodIdentity(gcp_account="orders@project-1.iam.gserviceaccount.com")
AZURE = PodIdentity(azure_client="6f3d0a8e-0000-4000-8000-2f1f5d0c9a11")


def fetch(bench: Bench, source: str = "s3://bucket/orders.csv") -> AnyStep:
    made_of = (Ingredient(kind="input", name="orders", digest="1"),)
    return bench.step("orders", Fetch(source=source, sha256="1" * 64), ingredients=made_of)


def pod_of(bench: Bench, identity: PodIdentity | None, step: AnyStep) -> dict[str, Any]:
    """The pod of a step that has run, as it stands on the cluster."""
    bench.does("fetch/orders", lambda pod: pod.leave(orders_csv="a\n1\n"))
    done(bench.session(bench.target(identity=identity)), step)
    (begun,) = bench.begun
    return begun.running.pod


@pytest.mark.parametrize(
    ("platform", "identity", "annotations", "labels"),
    [
        ("eks", ROLE, {"eks.amazonaws.com/role-arn": ROLE.aws_role}, {}),
        ("gke", GOOGLE, {"iam.gke.io/gcp-service-account": GOOGLE.gcp_account}, {}),
        (
            "aks",
            AZURE,
            {"azure.workload.identity/client-id": AZURE.azure_client},
            {"azure.workload.identity/use": "true"},
        ),
    ],
)
def test_a_pod_that_fetches_from_a_store_runs_under_the_account_that_its_cloud_knows(
    bench: Bench, platform: str, identity: PodIdentity, annotations: dict[str, str], labels: dict[str, str]
) -> None:
    node(bench, platform)
    pod = pod_of(bench, identity, fetch(bench))
    assert pod["spec"]["serviceAccountName"] == "shop-data"
    account = bench.find("ServiceAccount", "shop-data")
    assert account is not None
    assert account["metadata"]["annotations"] == annotations
    assert account["automountServiceAccountToken"] is False
    found = {key: value for key, value in pod["metadata"]["labels"].items() if "azure" in key}
    assert found == labels


def test_with_an_identity_neither_a_token_of_the_cluster_nor_keys_are_in_the_pod(bench: Bench) -> None:
    node(bench, "eks")
    spec = pod_of(bench, ROLE, fetch(bench))["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert "envFrom" not in spec["containers"][0]
    assert {each["name"] for each in spec["volumes"]} == {"work", "tmp", "authorities"}


def test_a_source_that_is_in_no_store_is_fetched_without_the_identity(bench: Bench) -> None:
    node(bench, "eks")
    pod = pod_of(bench, ROLE, fetch(bench, "https://data.example/orders.csv"))
    assert pod["spec"]["serviceAccountName"] == "default"
    assert bench.find("ServiceAccount", "shop-data") is None


def test_commands_of_the_file_have_the_identity_only_where_the_file_gives_it_to_steps(bench: Bench) -> None:
    node(bench, "gke")
    assert pod_of(bench, GOOGLE, bench.command("clean"))["spec"]["serviceAccountName"] == "default"
    bench.begun.clear()
    of_steps = PodIdentity(gcp_account=GOOGLE.gcp_account, pods="steps")
    assert pod_of(bench, of_steps, bench.command("clean"))["spec"]["serviceAccountName"] == "shop-data"


def test_a_strict_step_never_has_the_identity(bench: Bench) -> None:
    node(bench, "gke")
    of_steps = PodIdentity(gcp_account=GOOGLE.gcp_account, pods="steps")
    pod = pod_of(bench, of_steps, bench.command("clean", isolation=Isolation(level="strict")))
    assert pod["spec"]["serviceAccountName"] == "default"


def test_an_account_that_is_there_is_used_as_it_is(bench: Bench) -> None:
    node(bench, "aks")
    session = bench.session()
    theirs = {"name": "loader", "namespace": APPLICATION, "annotations": {"a": "b"}}
    bench.cluster.put({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": theirs})
    session.close()
    pod = pod_of(bench, PodIdentity(account="loader"), fetch(bench))
    assert pod["spec"]["serviceAccountName"] == "loader"
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    account = bench.find("ServiceAccount", "loader")
    assert account is not None
    assert (account["metadata"]["annotations"], account["metadata"].get("labels")) == ({"a": "b"}, None)


def test_the_account_outlives_the_step_and_goes_with_the_application(bench: Bench) -> None:
    node(bench, "eks")
    bench.does("fetch/orders", lambda pod: pod.leave(orders_csv="a\n1\n"))
    target = bench.target(identity=ROLE)
    session = bench.session(target)
    done(session, fetch(bench))
    assert bench.find("ServiceAccount", "shop-data") is not None
    session.close()
    target.remove()
    assert bench.find("ServiceAccount", "shop-data") is None


def test_manifests_for_git_have_the_account_and_the_server_takes_it(bench: Bench) -> None:
    node(bench, "eks")
    target = bench.target(identity=ROLE)
    bench.session(target)
    plan = Plan(application=APPLICATION, target="memory", steps=(fetch(bench),))
    manifests = target.manifests(plan)
    (account,) = [each for each in manifests if each["kind"] == "ServiceAccount"]
    assert account["metadata"]["namespace"] == APPLICATION
    api = Api(bench.cluster.context)
    api.create(account, dry_run=True)
    api.close()


FILE = """\
  targets:
    cloud: {{context: CONTEXT, route: REGISTRY, identity: {{{identity}}}}}
  datasets:
    orders: {{source: "s3://bucket/orders.csv", sha256: "{digest}"}}
"""
DIGEST = "1" * 64


REFUSED = (
    ("gke", f"awsRole: {ROLE.aws_role}", "`awsRole` is for Amazon EKS, and ", "write gcpAccount, or name"),
    ("eks", f"azureClient: {AZURE.azure_client}", "`azureClient` is for Azure Kubernetes", "write awsRole"),
    ("", f"gcpAccount: {GOOGLE.gcp_account}", "does not look like that", "account: NAME"),
    ("eks", "", "the identity names nobody", "awsRole (EKS)"),
    ("eks", "pods: steps", "the identity names nobody", "awsRole (EKS)"),
    ("eks", f"awsRole: {ROLE.aws_role}, account: x", "names `awsRole` and `account`", "write one of"),
    ("eks", "awsRole: orders", "expected the ARN of an IAM role", ""),
)


def test_an_identity_that_is_none_or_that_the_platform_does_not_have_is_refused_with_its_place(bench: Bench) -> None:
    for platform, identity, words, remedy in REFUSED:
        node(bench, platform)
        with pytest.raises(FileError) as refused:
            prepared(bench, FILE.format(identity=identity, digest=DIGEST))
        assert words in str(refused.value)
        assert remedy in refused.value.hint
        assert "plimsoll.yaml:6:" in str(refused.value)


def test_a_plan_asks_for_the_right_to_make_the_account(bench: Bench) -> None:
    node(bench, "eks")
    plan = prepared(bench, FILE.format(identity=f"awsRole: {ROLE.aws_role}", digest=DIGEST))
    bench.cluster.deny(verb="create", resource="serviceaccounts")
    missing = bench.target(identity=ROLE).missing(plan.plan)
    assert any("create serviceaccounts" in each for each in missing)
