"""Alert rules and the dashboard query only metrics of a live service."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from plimsoll.runtime.server.counts import AssistantRecord, Count, Counts, LlmRecord, Record, Records
from plimsoll.runtime.server.metrics import page
from plimsoll.telemetry import catalogue
from plimsoll.telemetry.alerts import RuleGroups, rule_groups
from plimsoll.telemetry.dashboard import dashboard
from tests.docs.anchors import ROOT, anchors
from tests.runtime.conftest import until

from .conftest import Watched

BUILT = folder_of(BY_NAME["prometheus"]) / "promtool"
PROMTOOL = shutil.which("promtool") or (str(BUILT) if BUILT.is_file() else None)
NO_PROMTOOL = "needs promtool: the lab builds it with its Prometheus (make lab), Debian's package prometheus has it too"
NAMES = re.compile(r"\b((?:plimsoll|http_server|process)_[a-z_]+)\b")


def asked() -> set[str]:
    """Every metric in the queries of rules and panels."""
    return queried(rule_groups("triage", "m", p99=0.05), dashboard("triage", "m"))


def queried(groups: RuleGroups, board: dict[str, object]) -> set[str]:
    rules = groups["groups"][0]["rules"]
    panels = json.loads(json.dumps(board))["panels"]
    queries = [rule["expr"] for rule in rules] + [target["expr"] for panel in panels for target in panel["targets"]]
    return {name for query in queries for name in NAMES.findall(query)}


def live(watched: Watched) -> set[str]:
    watched.infer([[1, 2]])
    page = watched.client.get("/metrics").text
    families = list(text_string_to_metric_families(page))
    counters = {f"{family.name}_total" for family in families if family.type == "counter"}
    return {sample.name for family in families for sample in family.samples} | {one.name for one in families} | counters


def test_rules_and_dashboard_ask_only_for_metrics_of_a_live_service(watched: Watched) -> None:
    names = asked()
    assert len(names) >= 10
    # A request is counted when its answer is out.
    until(lambda: names <= live(watched))


def test_rules_and_panels_of_a_language_model_ask_for_what_its_page_has() -> None:
    described = {name for each in catalogue.LLM for name in each.series}
    assert described <= told_of(Record(restarts=1, llm=LlmRecord(routed={"prefix": 1})))
    others = {name for each in catalogue.SERVICE for name in each.series}
    assert queried(rule_groups("chat", "m", llm=True), dashboard("chat", "m", llm=True)) <= described | others


def told_of(record: Record) -> set[str]:
    """The names on the metrics page of a server with this record."""
    record.add(200, 1.0)
    counts = Counts(counts=[Count(model="m", version="1", records=Records(answers=record))], waiting={"m": 1})
    families = list(text_string_to_metric_families(page(counts).decode()))
    return {sample.name for family in families for sample in family.samples}


def test_rules_and_panels_of_an_assistant_ask_for_what_its_page_has() -> None:
    assistant = AssistantRecord()
    assistant.add("answered", {"search": 0.01, "generate": 1.0}, {"supported": 2, "unsupported": 1})
    described = {name for each in catalogue.ASSISTANT for name in each.series}
    assert described <= told_of(Record(assistant=assistant))
    others = {name for each in (*catalogue.SERVICE, *catalogue.LLM) for name in each.series}
    asked = queried(rule_groups("help", "mechanic", writer="w"), dashboard("help", "mechanic", writer="w"))
    assert described & asked == {name for name in described if not name.endswith(("_sum", "_count"))}
    assert asked <= described | others


def test_rules_of_an_assistant_are_about_it_and_about_its_language_model() -> None:
    rules = {each["alert"]: each["expr"] for each in rule_groups("help", "mechanic", writer="w")["groups"][0]["rules"]}
    assert {name for name, query in rules.items() if 'model="mechanic"' in query} == {
        "PlimsollErrors", "PlimsollUnsupported", "PlimsollRefusals", "PlimsollSearchSlow"
    }  # fmt: skip
    assert {name for name, query in rules.items() if 'model="w"' in query} == {
        "PlimsollQueueFull", "PlimsollFirstToken", "PlimsollEngineRestarts"
    }  # fmt: skip


def test_the_runbook_has_a_section_for_each_rule_and_for_no_other() -> None:
    groups = [
        rule_groups("triage", "m", p99=0.05),
        rule_groups("chat", "m", llm=True),
        rule_groups("help", "m", writer="w"),
    ]
    rules = [rule for each in groups for rule in each["groups"][0]["rules"]]
    pages = {rule["annotations"]["runbook"].partition("#")[0] for rule in rules}
    linked = {rule["annotations"]["runbook"].partition("#")[2] for rule in rules}
    (page,) = pages
    sections = anchors(ROOT / page)
    assert sections - {"runbook"} == linked


@pytest.mark.slow
def test_a_live_service_has_every_metric_that_is_described(watched: Watched) -> None:
    wanted: set[str] = set()
    for described in catalogue.ALL:
        wanted |= set(described.series) if described.kind == "histogram" else {described.name}
    until(lambda: wanted <= live(watched))


def test_every_metric_is_in_the_documents() -> None:
    text = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text()
    assert [
        described.name
        for described in (*catalogue.ALL, *catalogue.LLM, *catalogue.ASSISTANT)
        if described.name not in text
    ] == []


@pytest.mark.skipif(PROMTOOL is None, reason=NO_PROMTOOL)
def test_promtool_accepts_the_rules_and_the_page(tmp_path: Path, watched: Watched) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump(rule_groups("triage", "m", p99=0.05)))
    told = subprocess.run([str(PROMTOOL), "check", "rules", str(rules)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "5 rules found" in told.stdout
    page = watched.client.get("/metrics").text
    checked = subprocess.run(
        [str(PROMTOOL), "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    ours = [line for line in checked.stderr.splitlines() if line.startswith(("plimsoll_drift", "plimsoll_feedback"))]
    assert "error while linting" not in checked.stderr, checked.stderr
    assert ours == []


@pytest.mark.skipif(PROMTOOL is None, reason=NO_PROMTOOL)
def test_the_rules_fire_for_a_service_that_drifts_fails_and_is_slow(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule_groups("triage", "m", p99=0.05)))
    series = 'http_server_request_duration_seconds_{}{{model="m",version="3",http_response_status_code="{}"{}}}'
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": series.format("count", "200", ""), "values": "0+100x30"},
                    {"series": series.format("count", "500", ""), "values": "0+10x30"},
                    {"series": series.format("bucket", "200", ',le="0.05"'), "values": "0+10x30"},
                    {"series": series.format("bucket", "200", ',le="0.1"'), "values": "0+100x30"},
                    {"series": series.format("bucket", "200", ',le="+Inf"'), "values": "0+100x30"},
                    {"series": 'plimsoll_drift_alarm{model="m",version="3",side="input",feature="a"}', "values": "1x30"},
                    {"series": 'plimsoll_drift_alarm{model="m",version="3",side="input",feature="b"}', "values": "0x30"},
                    {"series": 'plimsoll_accuracy_alarm{model="m",version="3"}', "values": "0x30"},
                ],
                "promql_expr_test": [
                    {"expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})', "eval_time": "20m",
                     "exp_samples": [{"labels": "{}", "value": 1}] if fires else []}
                    for name, fires in (("PlimsollDrift", True), ("PlimsollErrors", True), ("PlimsollSlow", True),
                                        ("PlimsollAccuracy", False), ("PlimsollDriftBlind", False))
                ],
            }
        ],
    }  # fmt: skip
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
    told = subprocess.run(
        [str(PROMTOOL), "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.skipif(PROMTOOL is None, reason=NO_PROMTOOL)
def test_the_rules_fire_for_an_assistant_that_invents_refuses_and_searches_slowly(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule_groups("help", "m", writer="w")))
    about = '{{model="m",version="1",{}}}'
    sentences = f"plimsoll_assistant_sentences_total{about}"
    answers = f"plimsoll_assistant_answers_total{about}"
    stages = f"plimsoll_assistant_stage_seconds_bucket{about}"
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": sentences.format('verdict="supported"'), "values": "0+10x60"},
                    {"series": sentences.format('verdict="unsupported"'), "values": "0+10x60"},
                    {"series": answers.format('outcome="answered"'), "values": "0+10x60"},
                    {"series": answers.format('outcome="refused"'), "values": "0+1x60"},
                    {"series": stages.format('stage="rerank",le="0.25"'), "values": "0+1x60"},
                    {"series": stages.format('stage="rerank",le="0.5"'), "values": "0+10x60"},
                    {"series": stages.format('stage="rerank",le="+Inf"'), "values": "0+10x60"},
                    {"series": stages.format('stage="search",le="0.25"'), "values": "0+10x60"},
                    {"series": stages.format('stage="search",le="+Inf"'), "values": "0+10x60"},
                    # That an answer takes long is not the search's matter.
                    {"series": stages.format('stage="generate",le="0.25"'), "values": "0+0x60"},
                    {"series": stages.format('stage="generate",le="+Inf"'), "values": "0+10x60"},
                ],
                "promql_expr_test": [
                    {"expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})', "eval_time": "50m",
                     "exp_samples": [{"labels": "{}", "value": 1}] if fires else []}
                    for name, fires in (("PlimsollUnsupported", True), ("PlimsollRefusals", False),
                                        ("PlimsollSearchSlow", True), ("PlimsollQueueFull", False))
                ],
            }
        ],
    }  # fmt: skip
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
    told = subprocess.run(
        [str(PROMTOOL), "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_dashboard_is_json_with_every_panel_in_its_own_place() -> None:
    drawn = json.loads(json.dumps(dashboard("triage", "m")))
    cells: set[tuple[int, int]] = set()
    for panel in drawn["panels"]:
        place = panel["gridPos"]
        mine = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not mine & cells
        assert max(x for x, _ in mine) < 24
        cells |= mine
    assert len({panel["id"] for panel in drawn["panels"]}) == len(drawn["panels"])
    assert drawn["uid"] != dashboard("other", "m")["uid"]


@pytest.mark.skipif(PROMTOOL is None, reason=NO_PROMTOOL)
def test_the_rules_fire_for_a_language_model_that_refuses_begins_late_and_ends_again_and_again(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule_groups("chat", "w", llm=True)))
    about = '{{model="w",version="1",{}}}'
    requests = f"http_server_request_duration_seconds_count{about}"
    first = f"plimsoll_llm_time_to_first_token_seconds_bucket{about}"
    restarts = 'plimsoll_code_restarts_total{model="w",version="1"}'
    names = {rule["alert"] for rule in rule_groups("chat", "w", llm=True)["groups"][0]["rules"]}
    assert {"PlimsollQueueFull", "PlimsollFirstToken", "PlimsollEngineRestarts"} <= names

    def fired(series: list[dict[str, str]], wanted: set[str]) -> str:
        expected = [
            {"expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})', "eval_time": "30m",
             "exp_samples": [{"labels": "{}", "value": 1}] if name in wanted else []}
            for name in names
        ]  # fmt: skip
        case = {"interval": "1m", "input_series": series, "promql_expr_test": expected}
        test = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [case]}
        (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
        command = [str(PROMTOOL), "test", "rules", "test.yaml"]
        told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return told.stdout + told.stderr if told.returncode else ""

    well = [
        {"series": requests.format('http_response_status_code="200"'), "values": "0+10x60"},
        {"series": first.format('le="1"'), "values": "0+10x60"},
        {"series": first.format('le="+Inf"'), "values": "0+10x60"},
        {"series": restarts, "values": "1x60"},
    ]
    ill = [
        {"series": requests.format('http_response_status_code="200"'), "values": "0+100x60"},
        {"series": requests.format('http_response_status_code="429"'), "values": "0+1x60"},
        {"series": first.format('le="10"'), "values": "0+1x60"},
        {"series": first.format('le="60"'), "values": "0+10x60"},
        {"series": first.format('le="+Inf"'), "values": "0+10x60"},
        {"series": restarts, "values": "0+1x60"},
    ]
    assert fired(well, set()) == ""
    assert fired(ill, {"PlimsollQueueFull", "PlimsollFirstToken", "PlimsollEngineRestarts"}) == ""


@pytest.mark.skipif(PROMTOOL is None, reason=NO_PROMTOOL)
@pytest.mark.parametrize(("kind", "found"), [({"llm": True}, 4), ({"writer": "w"}, 7)])
def test_promtool_accepts_the_rules_of_language_models_and_assistants(
    kind: dict[str, Any], found: int, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump(rule_groups("help", "m", **kind)))
    told = subprocess.run([str(PROMTOOL), "check", "rules", str(rules)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"{found} rules found" in told.stdout
