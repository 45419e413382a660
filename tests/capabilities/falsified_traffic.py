"""Falsified records of gateways and of a workload's metrics."""

from __future__ import annotations

from tests.capabilities.falsifying import ENVIRONMENT, FAIL, UNKNOWN, Cheat, case
from tests.capabilities.recorded import Fact, Record, changed, with_values, without

TRAFFIC = "ai_inference"
SERVICE = "ai_service_metrics"


def _undeclared_too(fact: Fact) -> Fact:
    return {**fact, "found": [*fact["found"], {"who": "undeclared", "value": 1.0, "token": ""}]}


def _another_value(fact: Fact) -> Fact:
    return {**fact, "found": [{**each, "value": 10.0} for each in fact["found"]]}


def _another_token(fact: Fact) -> Fact:
    return {**fact, "found": [{**each, "token": "guessed"} for each in fact["found"]]}


def _as_before(record: Record) -> Record:
    found = next(each.fact["found"] for each in record if each.event == "collected")
    return changed(record, "followed", with_values(found=found))


def _one_undrawn(fact: Fact) -> Fact:
    return {**fact, "values": {**fact["values"], "podmonitor": None}}


def _swapped(fact: Fact) -> Fact:
    names, counts = list(fact["answers"]), list(fact["answers"].values())
    return {**fact, "answers": dict(zip(names, reversed(counts), strict=True))}


def _one_answers_all(fact: Fact) -> Fact:
    return {**fact, "answers": {next(iter(fact["answers"])): 400}}


def _answered_by_backend(record: Record) -> Record:
    names = next(each.fact["names"] for each in record if each.event == "backends")
    return changed(record, "measured", with_values(answers={names[0]: 20}), case="nowhere")


def _answered_by_itself(fact: Fact) -> Fact:
    return {**fact, "arrived": dict.fromkeys(fact["arrived"], 0)}


CHEATS: list[Cheat] = [
    (TRAFFIC, "weights are ignored", case("measured", _one_answers_all, case="weights-1"), FAIL),
    (TRAFFIC, "a changed weight is ignored", case("measured", _swapped, case="weights-2"), FAIL),
    (TRAFFIC, "the header is ignored", case("measured", with_values(answers={"x": 25, "y": 25}), case="header"), FAIL),
    (TRAFFIC, "the header's requests all fail", case("measured", with_values(answers={}), case="header"), FAIL),
    (TRAFFIC, "one backend answers whatever is asked", _answered_by_backend, FAIL),
    (
        TRAFFIC,
        "a page answers in place of the backends",
        case("measured", with_values(answers={"hello": 400}), case="weights-1"),
        FAIL,
    ),
    (TRAFFIC, "the gateway answers by itself", case("measured", _answered_by_itself, case="weights-1"), FAIL),
    (TRAFFIC, "headers are answered by the gateway itself", case("measured", _answered_by_itself, case="header"), FAIL),
    (TRAFFIC, "an answer comes whole", case("streamed", with_values(arrivals=[1.0] * 6), way="gateway"), FAIL),
    (TRAFFIC, "an answer in pieces never comes", case("streamed", with_values(arrivals=[]), way="gateway"), FAIL),
    (TRAFFIC, "the backend sends no pieces", case("streamed", with_values(arrivals=[]), way="direct"), UNKNOWN),
    (TRAFFIC, "the gateway has no address", case("gateway", without), FAIL),
    (TRAFFIC, "backends never start", case("backends", with_values(ready=False)), ENVIRONMENT),
    (SERVICE, "everything is collected, declared or not", case("collected", _undeclared_too), FAIL),
    (SERVICE, "a stub that always answers ten", case("collected", _another_value), FAIL),
    (SERVICE, "a label that was guessed", case("collected", _another_token), FAIL),
    (SERVICE, "what was collected once stays", _as_before, FAIL),
    (SERVICE, "the second look was left out", case("followed", without), UNKNOWN),
    (SERVICE, "a workload did not change", case("redrawn", _one_undrawn), UNKNOWN),
    (SERVICE, "a workload did not start", case("served", with_values(found=[]), who="undeclared"), ENVIRONMENT),
    (SERVICE, "nothing is collected", case("collected", with_values(found=[])), FAIL),
]
