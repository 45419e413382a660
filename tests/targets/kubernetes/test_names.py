"""Names that the file allows, as every kind of object will carry them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.application.scalars import NAME_PATTERN
from plimsoll.engine.preparation import prepare
from plimsoll.errors import FileError
from plimsoll.kinds.dataset import RunCommand
from plimsoll.kinds.serve import ModelShare, Serve
from plimsoll.kinds.service_settings import Scale
from plimsoll.kinds.train import TrainGang
from plimsoll.kubernetes.cluster import DRA, ENVOY, KEDA, Cluster
from plimsoll.kubernetes.memory.defaults import fill
from plimsoll.kubernetes.memory.kinds import ADDONS, BUILT_IN, ServedKinds
from plimsoll.kubernetes.memory.names import name_problem
from plimsoll.kubernetes.memory.validation import check
from plimsoll.kubernetes.memory.values import copied
from plimsoll.planning.steps import InputFile, Plan, Step, WorkerResources
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.grammar import NAMING
from plimsoll.targets.kubernetes.plan_check import problems
from plimsoll.targets.kubernetes.preview import during_promotion, preview
from plimsoll.targets.kubernetes.providers import NEEDS
from tests.targets.kubernetes.bench import Bench

KINDS = ServedKinds((*BUILT_IN, *(kind for addon in ADDONS.values() for kind in addon)))
NAME = st.from_regex(NAME_PATTERN, fullmatch=True).map(lambda text: text.removesuffix("\n"))
CHOSEN = st.fixed_dictionaries({need: st.sampled_from([each.name for each in NEEDS[need]]) for need in NEEDS})


def cluster(namespace: str, gateway: str = "lab") -> Cluster:
    served = frozenset({f"{ENVOY}/BackendTrafficPolicy", f"{KEDA}/ScaledObject", f"{DRA}/DeviceClass"})
    return Cluster(
        target="lab", namespace=namespace, gateways=(gateway,), admitting=("all",), classes=("gpu",), served=served
    )


def plan_of(application: str, model: str, service: str, dataset: str, workers: int = 2, **serve: Any) -> Plan:
    wanted = WorkerResources(cpu=0.5, accelerators=1)
    given = InputFile(name=dataset, step=f"run/{dataset}", key="d" * 64)
    steps = (
        Step(part=dataset, key="d" * 64, work=RunCommand(command="python make.py", outputs=("x.csv",))),
        Step(
            part=model,
            key="a" * 64,
            work=TrainGang(command="python train.py", framework="ray", size=workers, inputs=(given,)),
            resources=wanted,
        ),
        Step(part=service, key="b" * 64, work=Serve(service=service, model=model, **serve)),
    )
    return Plan(application=application, target="lab", steps=steps)


@settings(max_examples=40, deadline=None)
@given(
    application=NAME,
    model=NAME,
    service=NAME,
    dataset=NAME,
    chosen=CHOSEN,
    scale=st.sampled_from([(1, 1), (0, 3), (1, 4)]),
)
def test_every_name_that_a_plan_accepts_is_accepted_by_the_api_server_for_every_object(
    application: str, model: str, service: str, dataset: str, chosen: dict[str, str], scale: tuple[int, int]
) -> None:
    where = cluster(names.short(application, 63))
    plan = plan_of(application, model, service, dataset, 4096, scale=Scale(min=scale[0], max=scale[1]))
    if problems(plan, where, chosen):
        return
    made = preview(plan, where, chosen)
    promoted = during_promotion(made[-1], application, where, chosen)
    for each in (each for found in (*made, promoted) for each in found.objects):
        kind = KINDS.by_kind(each["apiVersion"], each["kind"])
        assert kind is not None, each["kind"]
        manifest = copied({**each, "metadata": {**each["metadata"], "namespace": where.namespace, "uid": "u-1"}})
        fill(kind, manifest)
        check(kind, manifest)


@given(application=NAME, service=NAME)
def test_names_of_services_and_gateways_begin_with_a_letter_and_leave_room(application: str, service: str) -> None:
    for name in (names.service(application, service), names.gateway(application)):
        assert name_problem(name, "label1035") == ""
        assert len(name) <= 40


def test_a_leading_digit_gets_a_letter_and_other_names_stay_as_they_are() -> None:
    assert names.service("shop", "api") == "shop-api"
    assert names.service("7kbt", "api").startswith("n-7kbt-api-")
    assert names.service("7kbt", "api") != names.service("n-7kbt", "api")


def test_every_kind_that_a_name_is_too_long_for_is_told_with_its_limit() -> None:
    plan = plan_of("shop", "m", "s" * 50, "d")
    (long_class,) = problems(plan, cluster("shop", "g" * 60), _chosen(traffic="gateway"))
    assert (
        "the Gateway 'shop-plimsoll' would give the Service of its proxies a name of 74 characters"
        in long_class.message
    )
    assert "clusters take 63" in long_class.message
    (long_host, *_) = problems(plan, cluster("n" * 63), _chosen(serving="kserve"))
    assert "the InferenceService" in long_host.message
    assert "its host name" in long_host.message


def test_parts_whose_objects_would_be_called_alike_are_named_both() -> None:
    first = plan_of("shop", "m", "api", "d", scale=Scale(min=0, max=2))
    second = plan_of("shop", "m", "api-servers", "d")
    both = Plan(application="shop", target="lab", steps=(*first.steps, second.steps[-1]))
    (found,) = problems(both, cluster("shop"), _chosen(traffic="service"))
    assert found.message == "serve/api-servers and serve/api would both have a Service named 'shop-api-servers'"
    promoted = Plan(
        application="shop",
        target="lab",
        steps=(
            plan_of("shop", "m", "api", "d", shares=_shares()).steps[-1],
            plan_of("shop", "m", "api-v2", "d").steps[-1],
        ),
    )
    (found,) = problems(promoted, cluster("shop"), _chosen(traffic="gateway"))
    assert "named 'shop-api-v2'" in found.message


def test_a_plan_refuses_reserved_names_at_their_place_in_the_file(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "plimsoll.yaml"
    spec = {
        "models": {"m": {"train": {"run": "python train.py", "resources": {"cpu": 0.1}}}},
        "services": {"s": {"model": "m", "resources": {"cpu": 0.1}}},
    }
    (tmp_path / "train.py").write_text("", encoding="utf-8")

    def refused(application: str, **options: Any) -> FileError:
        document = {"apiVersion": "plimsoll.dev/v1alpha1", "kind": "Application", "metadata": {"name": application}}
        file.write_text(yaml.safe_dump({**document, "spec": spec}, sort_keys=False), encoding="utf-8")
        with pytest.raises(FileError) as caught:
            prepare(file, bench.target(application, **options))
        return caught.value

    for name in ("kube-system", "default"):
        error = refused(name)
        assert error.where.endswith("plimsoll.yaml:4:9")
        assert f"'{name}'" in error.message
    assert refused("shop", namespace="kube-public").where == "--namespace"
    for wrong in ("Team", "a.b", "", "x" * 64):
        assert "a namespace cannot be named" in refused("shop", namespace=wrong).message


@pytest.mark.parametrize(
    ("headers", "told", "at"),
    [
        ({"x user": "a"}, "'x user' is no name of a header", "12:21"),
        ({"x-user": ""}, "no request can have this value", "12:31"),
        ({"x-user": "a", "X-User": "b"}, "is named twice", "12:21"),
    ],
)
def test_headers_that_no_gateway_matches_are_refused_without_any_target(
    tmp_path: Path, headers: dict[str, str], told: str, at: str
) -> None:
    (tmp_path / "train.py").write_text("", encoding="utf-8")
    words = ", ".join(f'"{name}": "{value}"' for name, value in headers.items())
    file = tmp_path / "plimsoll.yaml"
    file.write_text(
        "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: shop}\nspec:\n"
        "  models:\n    m: {train: {run: python train.py}}\n  services:\n    s:\n      model:\n"
        "        - {model: m, weight: 100}\n        - model: m@1\n"
        f"          headers: {{{words}}}\n          weight: 0\n",
        encoding="utf-8",
    )
    with pytest.raises(FileError) as refused:
        prepare(file)
    assert told in refused.value.message
    assert refused.value.where.endswith(at)


def test_the_table_of_kinds_knows_every_kind_whose_rule_is_not_that_of_a_subdomain() -> None:
    for kind in KINDS.all():
        if kind.naming in ("label", "label1035"):
            assert NAMING[kind.kind].grammar == kind.naming, kind.kind


def _chosen(**providers: str) -> dict[str, str]:
    return {need: NEEDS[need][-1].name for need in NEEDS} | {"serving": "deployment", **providers}


def _shares() -> tuple[ModelShare, ...]:
    return (ModelShare(model="m@1", weight=50), ModelShare(model="m@2", weight=50))
