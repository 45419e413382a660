"""Falsified records of gangs, autoscaling and operators."""

from __future__ import annotations

from tests.capabilities.falsifying import ENVIRONMENT, FAIL, UNKNOWN, Cheat, Falsify, case
from tests.capabilities.recorded import Fact, Record, changed, with_values, without

GANG = "gang_scheduling"
NODES = "cluster_autoscaling"
SCALED = "pod_autoscaling"
OPERATOR = "robust_controller"


def _replicas(step: str, **values: int) -> Falsify:
    return lambda record: changed(record, "replicas", with_values(**values), step=step)


def _never_back(record: Record) -> Record:
    killed = changed(record, "healed", with_values(back=False), operator="JobSet")
    return changed(killed, "carried-out", without, label="JobSet: after")


def _without_work(fact: Fact) -> Fact:
    return {**fact, "pods": [{**pod, "log": ""} for pod in fact["pods"]]}


def _without_accelerators(fact: Fact) -> Fact:
    return {**fact, "pods": [{**pod, "accelerators": "0"} for pod in fact["pods"]]}


def _refused_by(said: list[str]) -> Falsify:
    """Another webhook has the name of the operator's; what was said of a bad object while the operator's was down."""

    def falsify(record: Record) -> Record:
        def change(fact: Fact) -> Fact:
            return {**fact, "namesakes": [{**fact["hooks"][0], "configuration": "other"}]}

        named = changed(record, "operator", change, name="JobSet")
        return changed(named, "healed", with_values(said=said), operator="JobSet")

    return falsify


CHEATS: list[Cheat] = [
    (GANG, "half of a gang is bound", case("case", with_values(bound=1), case="waits"), FAIL),
    (GANG, "a part is let in later", case("case", with_values(late=1), case="control"), FAIL),
    (GANG, "a suspended job never starts", case("case", with_values(all=False, bound=0), case="fits"), FAIL),
    (GANG, "a policy denies every pod, also the control", case("case", with_values(bound=0), case="control"), UNKNOWN),
    (
        GANG,
        "there was room for all, so waiting shows nothing",
        case("case", with_values(bound=2), case="control"),
        UNKNOWN,
    ),
    (
        GANG,
        "the gang never starts when there is room",
        case("case", with_values(all=False, bound=0), case="released"),
        FAIL,
    ),
    (GANG, "a smaller gang is held back too", case("case", with_values(all=False, bound=0), case="small"), FAIL),
    (GANG, "nobody says why it waits", case("case", with_values(reason=""), case="waits"), UNKNOWN),
    (GANG, "the control was left out", case("case", without, case="control"), UNKNOWN),
    (SCALED, "the autoscaler read another value", case("read", with_values(values=["10"]), step="high"), FAIL),
    (SCALED, "the metrics are a constant", case("read", with_values(values=["10"]), step="before"), FAIL),
    (SCALED, "the autoscaler read nothing", case("read", with_values(values=[]), step="before"), FAIL),
    (SCALED, "it grows before there is a reason", _replicas("before", most=2), FAIL),
    (SCALED, "a twin with a low metric grows too", _replicas("high", twin=2), FAIL),
    (SCALED, "it never grows", _replicas("high", ready=1), FAIL),
    (SCALED, "it never shrinks", _replicas("low", ready=2), FAIL),
    (SCALED, "the pods hold no accelerator", case("replicas", _without_accelerators), UNKNOWN),
    (SCALED, "no pod starts", _replicas("started", ready=0), ENVIRONMENT),
    (SCALED, "nobody drew a value", case("drawn", with_values(value=None)), UNKNOWN),
    (NODES, "a node that is an object only", case("ran", with_values(log="")), FAIL),
    (NODES, "a pod that prints what it was told", case("ran", with_values(log="worked out 42 on node")), FAIL),
    (NODES, "a node that nobody reaches", case("command", with_values(answer="")), FAIL),
    (NODES, "an answer that was made up", case("command", with_values(answer="answer 42 by node")), FAIL),
    (NODES, "the pod ran on an old node", case("ran", with_values(node="node-1")), FAIL),
    (NODES, "no node comes", lambda record: changed(record, "grown", with_values(nodes={})), FAIL),
    (NODES, "there was room all along", case("waiting", without), ENVIRONMENT),
    (
        OPERATOR,
        "everything is denied, also what is good",
        case("attempt", with_values(taken=False, message="no"), label="JobSet: twin"),
        FAIL,
    ),
    (OPERATOR, "a bad object is taken", case("attempt", with_values(taken=True), label="JobSet: bad"), FAIL),
    (
        OPERATOR,
        "another webhook refuses",
        case(
            "attempt", with_values(message='admission webhook "deny.all" denied the request: no'), label="JobSet: bad"
        ),
        UNKNOWN,
    ),
    (
        OPERATOR,
        "its webhook refuses without having looked",
        case(
            "attempt",
            with_values(message='admission webhook "vjobset.kb.io" denied the request: no'),
            label="JobSet: bad",
        ),
        UNKNOWN,
    ),
    (OPERATOR, "nothing is carried out", case("carried-out", with_values(done=False), label="JobSet: good"), FAIL),
    (
        OPERATOR,
        "a policy refuses in the webhook's words",
        case(
            "attempt",
            lambda fact: {**fact, "message": f"forbidden: policy 'x' denied request: {fact['message']}"},
            label="JobSet: bad",
        ),
        UNKNOWN,
    ),
    (OPERATOR, "another webhook refuses in its name all along", _refused_by(["refused"]), UNKNOWN),
    (OPERATOR, "another refuses in its name between", _refused_by(["failed", "refused", "failed", "refused"]), UNKNOWN),
    (OPERATOR, "objects are called done", case("carried-out", _without_work, label="JobSet: good"), FAIL),
    (
        OPERATOR,
        "objects are called done after a while",
        case("carried-out", _without_work, label="JobSet: after"),
        FAIL,
    ),
    (
        OPERATOR,
        "who refuses does not lead",
        case("killed", with_values(leaders=["else_1"]), operator="JobSet"),
        UNKNOWN,
    ),
    (
        OPERATOR,
        "nobody leads, and another program carries out",
        case("kept-down", with_values(done=True), operator="Kubeflow Trainer"),
        UNKNOWN,
    ),
    (
        OPERATOR,
        "nobody leads, and no work ended meanwhile",
        case("kept-down", with_values(worked=False), operator="Kubeflow Trainer"),
        UNKNOWN,
    ),
    (OPERATOR, "nobody leads, and nobody looked", case("kept-down", without, operator="Kubeflow Trainer"), UNKNOWN),
    (
        OPERATOR,
        "what waited for the operator is called done",
        case("carried-out", _without_work, label="Kubeflow Trainer: held"),
        FAIL,
    ),
    (OPERATOR, "it does not heal", _never_back, FAIL),
    (OPERATOR, "there is no webhook", case("operator", with_values(hooks=[]), name="JobSet"), UNKNOWN),
]
