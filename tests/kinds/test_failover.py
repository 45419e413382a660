"""Services that fail over, as the file says it: what is planned, what stays, and words that say no such thing."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from plimsoll.engine.preparation import planned
from plimsoll.errors import FileError
from plimsoll.kinds.failover import FAILOVER, FailOver, Standby
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.table import KINDS
from plimsoll.planning.capacity import shortfalls
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.placement import journeys, rows_that_would_leave
from plimsoll.planning.steps import Plan
from plimsoll.targets.kubernetes.lacks import lacks

HERE = TargetFacts(target="local", cpu=4.0, memory=2**33)
HEAD = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: shop}
spec:
  targets: {onprem: {context: factory}, cloud: {context: eks}, here: {local: true}, cabs: {devices: {site: north}}}
  datasets:
    orders: {source: orders.csv}
    features: {run: python prepare.py, inputs: [orders], outputs: [rows.csv], target: cloud, STAY}
  models:
    triage: {train: {run: python train.py, inputs: [features]}}
  services:
"""
OVER = "model: triage, target: cloud, failover: {to: onprem}"


def plan_of(
    directory: Path,
    services: str,
    stay: str = "",
    facts: TargetFacts = HERE,
    run: str | None = None,
    head: str = HEAD,
    more: str = "",
) -> Plan:
    (directory / "orders.csv").write_text("a,b\n1,2\n")
    for name in ("prepare.py", "train.py"):
        (directory / name).write_text("")
    path = directory / "plimsoll.yaml"
    beside = "".join(f"    {line}\n" for line in services.splitlines()) + "".join(
        f"  {line}\n" for line in more.splitlines()
    )
    path.write_text(head.replace(", STAY", f", {stay}" if stay else "") + beside)
    file = KINDS.load(path)
    KINDS.check(file, run)
    parts = {"local": HERE, "factory": facts, "eks": facts}
    several = TargetFacts(target="local", cpu=4.0, memory=2**33, parts=parts)
    return planned(KINDS, file, KINDS.workspace(file, directory / "digests.json"), several)


def test_a_service_has_a_standby_on_the_other_target_and_what_leads_there_beside_itself(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, f"api: {{{OVER}}}")
    steps = {step.name: plan.names[step.target] for step in plan.steps if step.part == "api"}
    assert steps == {"standby/api": "onprem", "serve/api": "cloud", "failover/api": "cloud"}
    standby, serve = cast("Standby", plan.step("standby/api").work), cast("Serve", plan.step("serve/api").work)
    assert (standby.service, standby.stands_for, standby.fails_over) == ("api-standby", "api", False)
    assert (standby.model, standby.register_key) == (serve.model, serve.register_key)
    leads = cast("FailOver", plan.step("failover/api").work)
    assert (leads.service, leads.standby, leads.to, leads.after, leads.back) == (
        "api",
        "api-standby",
        "onprem",
        5.0,
        60.0,
    )


def test_the_model_travels_to_the_standby_and_services_travel_nowhere(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, f"api: {{{OVER}}}")
    found = {(each.step, each.to) for each in journeys(plan, "local") if each.step.startswith(("register", "s"))}
    assert ("register/triage", "factory") in found
    assert not any(step.startswith(("serve/", "standby/")) for step, _ in found)


def test_what_stands_by_for_an_assistant_asks_no_service_of_the_other_target(tmp_path: Path) -> None:
    (tmp_path / "manual.md").write_text("# Oil\n\nTwo litres.\n")
    more = """\
llms: {writer: {model: style}}
indexes: {manuals: {documents: pages, chunk: {tokens: 200}}}
assistants: {mechanic: {index: manuals, llm: writer}}
"""
    services = f"writer: {{llm: writer, target: cloud}}\napi: {{assistant: mechanic, {OVER.partition(', ')[2]}}}"
    head = HEAD.replace("  models:\n", "    pages: {source: manual.md}\n  models:\n    style: {source: ./style.gguf}\n")
    (tmp_path / "style.gguf").write_bytes(b"GGUF")
    plan = plan_of(tmp_path, services, head=head, more=more)
    assert "serve/writer" in plan.step("serve/api").needs
    assert "serve/writer" not in plan.step("standby/api").needs
    standby = cast("Standby", plan.step("standby/api").work)
    assert standby.assistant is not None
    assert standby.assistant.llm_service == ""
    assert standby.llm is not None


def test_other_times_lead_anew_and_nothing_of_them_leaves_the_keys_without_failover_as_they_were(
    tmp_path: Path,
) -> None:
    plain = plan_of(tmp_path, "api: {model: triage, target: cloud}")
    first = plan_of(tmp_path, f"api: {{{OVER}}}")
    slower = plan_of(tmp_path, f"api: {{{OVER.replace('onprem}', 'onprem, back: 2m}')}}}")
    assert [step.verb for step in plain.steps] == ["fetch", "run", "train", "register", "serve"]
    assert first.step("failover/api").key != slower.step("failover/api").key
    assert first.step("serve/api").key != plain.step("serve/api").key


def test_a_standby_that_would_need_rows_which_stay_is_refused_with_what_to_do(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, f"api: {{{OVER}, drift: {{reference: features/rows.csv}}}}", "stay: cloud")
    (found,) = rows_that_would_leave(plan, plan.names)
    assert found.step == "standby/api"
    assert "standby/api would run on onprem, and needs rows of run/features, which stay on cloud" in found.message
    assert found.remedy == "leave `failover` out, or take `stay` away from the dataset that says so"


def test_a_cluster_without_a_gateway_is_told_before_anything_is_made(tmp_path: Path) -> None:
    bare = TargetFacts(target="eks", cpu=4.0, memory=2**33, lacks=lacks("", "service"))
    plan = plan_of(tmp_path, f"api: {{{OVER}}}", facts=bare)
    several = TargetFacts(target="local", cpu=4.0, memory=2**33, parts={"local": HERE, "factory": bare, "eks": bare})
    found = [each for each in shortfalls(plan, several) if "fails over" in each.message]
    assert {each.step for each in found} == {"standby/api", "failover/api"}
    assert all(each.remedy == "install a gateway there (Gateway API), or leave failover out" for each in found)
    assert FAILOVER in bare.lacks


@pytest.mark.parametrize(
    ("services", "words", "column"),
    [
        ("api: {model: triage, failover: {to: onprem}}", "does not say which is its own", 26),
        ("api: {model: triage, target: cloud, failover: {to: cloud}}", "is on 'cloud' already", 56),
        ("api: {model: triage, target: cloud, failover: {to: here}}", "this machine has none", 56),
        ("api: {model: triage, target: local, failover: {to: cloud}}", "this machine has none", 34),
        ("api: {model: triage, target: cloud, failover: {to: onprm}}", "there is no target 'onprm'", 56),
        ("api: {model: triage, target: cloud, failover: {to: cabs}}", "is devices at the edge", 56),
        (f"api: {{{OVER.replace('onprem}', 'onprem, after: 10ms}')}}}", "failover.after is 10ms", 71),
        (f"api: {{{OVER.replace('onprem}', 'onprem, back: 2h}')}}}", "failover.back is 2h", 70),
        (f"api: {{{OVER}, scale: {{min: 0}}}}", "scales to zero servers is not seen to fail", 41),
        (f"api: {{{OVER}, auth: {{kubernetes: {{}}}}}}", "are strangers to the other", 41),
        (f"api: {{{OVER}}}\napi-standby: {{model: triage}}", "would be called as the service 'api-standby'", 41),
    ],
)  # fmt: skip
def test_words_that_say_no_failover_are_refused_with_their_place(
    tmp_path: Path, services: str, words: str, column: int
) -> None:
    with pytest.raises(FileError) as refused:
        plan_of(tmp_path, services)
    assert words in refused.value.message
    assert refused.value.where.endswith(f"plimsoll.yaml:12:{column}")
    assert refused.value.hint


def test_a_run_on_one_target_alone_refuses_the_service_with_the_place_of_the_other(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="the part names the target 'onprem', but the run is on 'cloud'") as refused:
        plan_of(tmp_path, f"api: {{{OVER}}}", run="cloud")
    assert refused.value.where.endswith("plimsoll.yaml:12:56")
