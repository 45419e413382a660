"""Where steps run in a plan over several targets, what travels, and which rows stay; of files, and without a target."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.engine.preparation import planned
from plimsoll.errors import FileError
from plimsoll.kinds.table import KINDS
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.keys import plan_content
from plimsoll.planning.placement import journeys, rows_that_would_leave
from plimsoll.planning.steps import Plan

HERE = TargetFacts(target="local", cpu=4.0, memory=2**33)
SEVERAL = TargetFacts(
    target="local",
    cpu=4.0,
    memory=2**33,
    parts={"local": HERE, "factory": HERE, "eks": HERE},
)
HEAD = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: shop}
spec:
  targets: {onprem: {context: factory}, cloud: {context: eks}, here: {local: true}}
"""


def plan_of(directory: Path, text: str, facts: TargetFacts = SEVERAL) -> Plan:
    (directory / "orders.csv").write_text("a,b\n1,2\n")
    for name in ("prepare.py", "train.py"):
        (directory / name).write_text("")
    path = directory / "plimsoll.yaml"
    path.write_text(HEAD + text)
    file = KINDS.load(path)
    KINDS.check(file, None if facts.parts else facts.target)
    return planned(KINDS, file, KINDS.workspace(file, directory / "digests.json"), facts)


def places(plan: Plan) -> dict[str, str]:
    return {step.name: plan.names[step.target] for step in plan.steps}


CHAIN = """\
  datasets:
    orders: {source: orders.csv}
    features: {run: python prepare.py, inputs: [orders], outputs: [rows.csv], target: onprem}
  models:
    triage: {train: {run: python train.py, inputs: [features]}}
  services:
    api: {model: triage, target: cloud}
    near: {model: triage}
  batches:
    backlog: {model: triage, input: features/rows.csv}
"""


def test_a_part_runs_where_it_says_or_where_what_it_needs_is_made(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, CHAIN)
    assert places(plan) == {
        "fetch/orders": "local",
        "run/features": "onprem",
        "train/triage": "onprem",
        "register/triage": "onprem",
        "serve/api": "cloud",
        "serve/near": "onprem",
        "score/backlog": "onprem",
    }
    assert plan.whys["fetch/orders"] == "it lies on this machine"
    assert plan.whys["run/features"] == "the file says so"
    assert plan.whys["train/triage"] == "run/features is there"


def test_what_travels_is_named_with_both_ends_and_with_who_needs_it(tmp_path: Path) -> None:
    found = {(each.step, each.origin, each.to): each.needed_by for each in journeys(plan_of(tmp_path, CHAIN), "local")}
    assert found[("fetch/orders", "local", "factory")] == ("run/features",)
    assert found[("register/triage", "local", "eks")] == ("serve/api",)
    assert ("train/triage", "factory", "local") in found
    assert not any(step == "run/features" for step, _, _ in found)


def test_a_source_of_an_address_is_fetched_where_the_only_step_that_needs_it_is(tmp_path: Path) -> None:
    digest = "0" * 64
    text = f"""\
  datasets:
    orders: {{source: "https://127.0.0.1:1/orders.csv", sha256: "{digest}"}}
    features: {{run: python prepare.py, outputs: [rows.csv], inputs: [orders], target: onprem}}
"""
    plan = plan_of(tmp_path, text)
    assert places(plan)["fetch/orders"] == "onprem"
    assert plan.whys["fetch/orders"] == "run/features needs it there"


def test_what_needs_results_of_two_targets_runs_on_this_machine(tmp_path: Path) -> None:
    text = """\
  datasets:
    one: {run: python prepare.py, outputs: [rows.csv], target: onprem}
    two: {run: python prepare.py, outputs: [rows.csv], target: cloud}
    both: {run: python train.py, inputs: [one, two], outputs: [rows.csv]}
"""
    plan = plan_of(tmp_path, text)
    assert places(plan)["run/both"] == "local"
    assert plan.whys["run/both"] == "what it needs is on onprem and cloud"


def test_an_environment_is_made_on_each_target_that_needs_it_and_never_travels(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("")
    text = """\
  environment: {requirements: requirements.txt}
  datasets:
    one: {run: python prepare.py, outputs: [rows.csv], target: onprem}
    two: {run: python prepare.py, outputs: [rows.csv], target: cloud}
"""
    plan = plan_of(tmp_path, text)
    assert places(plan)["environment/requirements.txt"] == "onprem"
    assert plan.whys["environment/requirements.txt"] == "run/one needs it there, and is made on cloud too"
    assert not journeys(plan, "local")


STAYING = """\
  datasets:
    orders: {source: orders.csv, stay: onprem}
    features: {run: python prepare.py, inputs: [orders], outputs: [rows.csv]%s}
  models:
    triage: {train: {run: python train.py, inputs: [features]%s}}
  services:
    api: {model: triage, target: cloud}
"""


def test_rows_that_stay_have_all_that_is_made_of_them_there_and_a_model_leaves(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, STAYING % ("", ""))
    assert places(plan) == {
        "fetch/orders": "onprem",
        "run/features": "onprem",
        "train/triage": "onprem",
        "register/triage": "onprem",
        "serve/api": "cloud",
    }
    assert {step.name: step.stays for step in plan.steps if step.stays} == {
        "fetch/orders": "factory",
        "run/features": "factory",
        "train/triage": "factory",
    } | ({"register/triage": "factory"})
    assert not list(rows_that_would_leave(plan, plan.names))
    leaving = [each for each in journeys(plan, "local") if each.origin == "factory"]
    assert [(each.step, each.to) for each in leaving] == [("train/triage", "local")]


@pytest.mark.parametrize(
    ("dataset", "training", "step"),
    [
        (", target: cloud", "", "run/features"),
        (", target: here", "", "run/features"),
        ("", ", target: cloud", "train/triage"),
        ("", ", target: local", "train/triage"),
    ],
)
def test_a_step_that_would_carry_rows_that_stay_is_named(
    tmp_path: Path, dataset: str, training: str, step: str
) -> None:
    plan = plan_of(tmp_path, STAYING % (dataset, training))
    first = next(rows_that_would_leave(plan, plan.names))
    assert first.step == step
    assert "which stay on onprem" in first.message
    assert "target: onprem" in first.remedy


def test_drift_judged_against_rows_that_stay_keeps_its_service_there(tmp_path: Path) -> None:
    text = """\
  datasets:
    rows: {run: python prepare.py, outputs: [rows.csv], stay: onprem}
  models:
    triage: {train: {run: python train.py, inputs: [rows]}}
  services:
    api: {model: triage, target: cloud, drift: {reference: rows/rows.csv}}
"""
    plan = plan_of(tmp_path, text)
    assert [each.step for each in rows_that_would_leave(plan, plan.names)] == ["serve/api"]


def test_what_a_batch_scores_of_rows_that_stay_stays_too(tmp_path: Path) -> None:
    text = """\
  datasets:
    rows: {run: python prepare.py, outputs: [rows.csv], stay: onprem}
  models:
    triage: {train: {run: python train.py, inputs: [rows]}}
  batches:
    backlog: {model: triage, input: rows/rows.csv}
"""
    plan = plan_of(tmp_path, text)
    assert (plan.step("score/backlog").target, plan.step("score/backlog").stays) == ("factory", "factory")
    assert not any(each.step == "score/backlog" for each in journeys(plan, "local"))


@pytest.mark.parametrize(("target", "refused"), [("factory", False), ("local", True), ("eks", True)])
def test_a_run_on_one_target_keeps_rows_where_they_stay_as_well(tmp_path: Path, target: str, refused: bool) -> None:
    facts = TargetFacts(target=target, cpu=4.0, memory=2**33)
    text = "  datasets:\n    rows: {run: python prepare.py, outputs: [rows.csv], stay: onprem}\n"
    plan = plan_of(tmp_path, text, facts)
    found = list(rows_that_would_leave(plan, {"factory": "onprem", "eks": "cloud"}))
    assert bool(found) is refused
    assert all(each.setting == ("stay",) and "stay on onprem" in each.message for each in found)


def test_keys_do_not_know_targets_and_the_content_of_a_run_does(tmp_path: Path) -> None:
    spread = plan_of(tmp_path, CHAIN)
    moved = plan_of(tmp_path, CHAIN.replace("target: cloud", "target: onprem"))
    assert [step.key for step in spread.steps] == [step.key for step in moved.steps]
    assert plan_content(spread) != plan_content(moved)


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        (
            "  datasets: {rows: {run: python prepare.py, outputs: [rows.csv], stay: onprm}}\n",
            ":6:",
            "no target 'onprm' in spec.targets",
        ),
        (
            "  datasets: {rows: {run: python prepare.py, outputs: [rows.csv], stay: onprem, target: cloud}}\n",
            ":6:",
            "stays on 'onprem', and would be made on 'cloud'",
        ),
        (
            '  datasets: {rows: {source: "https://127.0.0.1:1/rows.csv", stay: onprem}}\n',
            ":6:",
            "this machine would have to read https://127.0.0.1:1/rows.csv",
        ),
        (
            "  datasets: {rows: {run: python prepare.py, outputs: [rows.csv], target: clod}}\n",
            ":6:",
            "no target 'clod' in spec.targets",
        ),
    ],
)
def test_a_name_that_is_none_and_rows_made_elsewhere_are_refused_with_their_place(
    tmp_path: Path, text: str, where: str, message: str
) -> None:
    with pytest.raises(FileError) as refused:
        plan_of(tmp_path, text)
    assert message in str(refused.value)
    assert f"plimsoll.yaml{where}" in str(refused.value)
    assert refused.value.hint


def test_a_part_on_a_target_of_a_file_that_names_none_is_refused_with_what_to_write(tmp_path: Path) -> None:
    path = tmp_path / "plimsoll.yaml"
    (tmp_path / "orders.csv").write_text("a\n1\n")
    path.write_text(HEAD.partition("  targets")[0] + "  datasets: {orders: {source: orders.csv, target: eks}}\n")
    with pytest.raises(FileError) as refused:
        KINDS.targets(KINDS.load(path))
    assert "plimsoll.yaml:5:" in str(refused.value)
    assert refused.value.hint == "name it: targets: {eks: {context: CONTEXT}}, with a context of your kubeconfig"
