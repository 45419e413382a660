"""What cheating and broken clusters would have recorded: real records, each falsified in one way."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from plimsoll.evidence.verdict import Outcome
from tests.capabilities.recorded import Fact, Record, changed, with_values, without

FAIL, UNKNOWN, ENVIRONMENT = Outcome.FAIL, Outcome.UNKNOWN, Outcome.ENVIRONMENT_ERROR
Falsify = Callable[[Record], Record]


def _opened(pod: str, container: str, device: int) -> Falsify:
    """Makes an attempt on a device of the holders succeed."""

    def change(fact: Fact) -> Fact:
        label = sorted(fact["tries"])[device]
        return {**fact, "tries": {**fact["tries"], label: "opened abc"}}

    return lambda record: changed(record, "tried", change, pod=pod, container=container)


def _all_refused(fact: Fact) -> Fact:
    return {**fact, "tries": dict.fromkeys(fact["tries"], "refused")}


def _everything_opens(fact: Fact) -> Fact:
    return {**fact, "tries": dict.fromkeys(fact["tries"], "opened abc")}


def _plain_files(fact: Fact) -> Fact:
    return {**fact, "devices": [{**each, "block": False, "character": False} for each in fact["devices"]]}


def _same_device(record: Record) -> Record:
    first = next(each.fact["devices"] for each in record if each.event == "held")
    return changed(record, "held", with_values(devices=first), way="device-plugin")


def _read_alike(record: Record) -> Record:
    """Both holders of the device plugin read the same from devices of different numbers."""
    digest = "opened " + "ab" * 32 + " 100"

    def change(fact: Fact) -> Fact:
        return {**fact, "tries": {k: digest if v.startswith("opened") else v for k, v in fact["tries"].items()}}

    return changed(record, "tried", change, container="main")


def _sees_what_it_has_not_asked_for(record: Record) -> Record:
    first = next(each.fact["devices"] for each in record if each.event == "held")
    renamed = [{**each, "path": "/opt/other"} for each in first]

    def change(fact: Fact) -> Fact:
        return {**fact, "sees": [*fact["sees"], *renamed]}

    return changed(record, "tried", change, pod="device-plugin-without")


def _stays(record: Record) -> Record:
    loaded = next(each.fact["series"] for each in record if each.event == "scraped" and each.fact["case"] == "loaded")
    return changed(record, "scraped", with_values(series=loaded), case="after")


def _held_is_used(record: Record) -> Record:
    loaded = next(each.fact["series"] for each in record if each.event == "scraped" and each.fact["case"] == "loaded")
    return changed(record, "scraped", with_values(series=loaded))


def _no_rise(record: Record) -> Record:
    idle = next(each.fact["series"] for each in record if each.event == "scraped")
    return changed(record, "scraped", with_values(series=idle), case="loaded")


def _restless(record: Record) -> Record:
    """Every other look at idle devices sees what is seen under load."""
    loaded = next(each.fact["series"] for each in record if each.event == "scraped" and each.fact["case"] == "loaded")
    turns = itertools.cycle((True, False))

    def change(fact: Fact) -> Fact:
        return {**fact, "series": loaded} if next(turns) else fact

    return changed(record, "scraped", change, case="idle")


def _one_look(record: Record) -> Record:
    seen: set[str] = set()

    def change(fact: Fact) -> Fact | None:
        first = fact["case"] not in seen
        seen.add(fact["case"])
        return fact if first else None

    return changed(record, "scraped", change)


def _values(value: object, *, case: str = "loaded") -> Falsify:
    def change(fact: Fact) -> Fact:
        return {
            **fact,
            "series": [{**each, "value": value} if each["utilization"] else each for each in fact["series"]],
        }

    return lambda record: changed(record, "scraped", change, case=case)


def _one_series(fact: Fact) -> Fact:
    return {**fact, "series": [{**each, "device": "all"} for each in fact["series"]]}


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


def _replicas(step: str, **values: int) -> Falsify:
    return lambda record: changed(record, "replicas", with_values(**values), step=step)


def _answered_by_itself(fact: Fact) -> Fact:
    return {**fact, "arrived": dict.fromkeys(fact["arrived"], 0)}


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


def _holder(case_name: str, **values: object) -> Falsify:
    return lambda record: changed(record, "holder", with_values(**values), case=case_name)


def _another_kernel_of(role: str, other: str) -> Falsify:
    """What one pod says of its kernel is what another does."""

    def falsify(record: Record) -> Record:
        said = next(each.fact["said"] for each in record if each.event == "kernel" and each.fact["role"] == other)
        return changed(record, "kernel", with_values(said=said), role=role)

    return falsify


def _kernel_files_only(record: Record) -> Record:
    """A sandbox in name only, which has put other files over those of the kernel."""
    twin = next(each.fact["said"] for each in record if each.event == "kernel" and each.fact["role"] == "twin-1")
    said = {**twin, "version": "Linux version 9", "boot": "other", "modules": "0", "log": "gVisor"}
    return changed(record, "kernel", with_values(said=said), role="sandbox")


def _same_devices(case_name: str, other: str) -> Falsify:
    def falsify(record: Record) -> Record:
        devices = next(each.fact["devices"] for each in record if each.event == "holder" and each.fact["case"] == other)
        return changed(record, "holder", with_values(devices=devices), case=case_name)

    return falsify


def _apart(fact: Fact) -> Fact:
    """Every pod has a device of its own."""
    minor = hash(fact["name"]) % 10_000
    return {**fact, "devices": [{**each, "minor": minor} for each in fact["devices"]]}


def _files(fact: Fact) -> Fact:
    return {**fact, "devices": [{**each, "kind": "regular file"} for each in fact["devices"]]}


def case(event: str, change: Callable[[Fact], Fact | None], **where: object) -> Falsify:
    return lambda record: changed(record, event, change, **where)


GANG = "gang_scheduling"
TRAFFIC = "ai_inference"
ACCESS = "secure_accelerator_access"
SERVICE = "ai_service_metrics"
DEVICES = "accelerator_metrics"
SCALED = "pod_autoscaling"
NODES = "cluster_autoscaling"
OPERATOR = "robust_controller"
CLAIMS = "dra_support"
SHARED = "gpu_sharing"
PARTS = "virtualized_accelerator"
DRIVER = "driver_runtime_management"
SANDBOX = "workload_sandboxing"

CHEATS: list[tuple[str, str, Falsify, Outcome]] = [
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
    (ACCESS, "a touched file stands for a device", case("held", _plain_files, way="device-plugin"), FAIL),
    (ACCESS, "a stranger opens a device", case("tried", _everything_opens, pod="device-plugin-without"), FAIL),
    (
        ACCESS,
        "a sibling opens the claim's device",
        case("tried", _everything_opens, pod="dra-holder-1", container="sibling"),
        FAIL,
    ),
    (
        ACCESS,
        "a holder opens the other's device",
        case("tried", _everything_opens, pod="dra-holder-2", container="main"),
        FAIL,
    ),
    (ACCESS, "both holders were given the same device", _same_device, FAIL),
    (ACCESS, "one device under two numbers", _read_alike, FAIL),
    (ACCESS, "a device under another name", _sees_what_it_has_not_asked_for, FAIL),
    (ACCESS, "a policy forbids device nodes, also to holders", case("tried", _all_refused, container="main"), UNKNOWN),
    (ACCESS, "the holders ran on two nodes", case("held", with_values(node="elsewhere"), pod="dra-holder-1"), UNKNOWN),
    (ACCESS, "a holder sees nothing", case("held", with_values(devices=[]), pod="dra-holder-1"), ENVIRONMENT),
    (ACCESS, "the stranger tried nothing", case("tried", with_values(tries={}), pod="dra-without"), UNKNOWN),
    (DEVICES, "a static page", _no_rise, FAIL),
    (DEVICES, "all devices rise together", _values(0.9), FAIL),
    (DEVICES, "one series for all devices", case("scraped", _one_series, case="idle"), FAIL),
    (DEVICES, "a utilization of 5 of 1", _values(5.0), FAIL),
    (DEVICES, "a utilization that is no number", _values(None, case="idle"), FAIL),
    (DEVICES, "nobody serves metrics", lambda record: changed(record, "scraped", without), FAIL),
    (DEVICES, "the load held another device", case("loaded", with_values(devices=["nobody"])), UNKNOWN),
    (DEVICES, "the load did not run", case("loaded", with_values(did=False)), UNKNOWN),
    (DEVICES, "no device was free", lambda record: changed(record, "loaded", without), ENVIRONMENT),
    (DEVICES, "a page that stays up", _stays, FAIL),
    (DEVICES, "what is held is called used", _held_is_used, FAIL),
    (DEVICES, "numbers that change by themselves", _restless, FAIL),
    (DEVICES, "a single look at each state", _one_look, UNKNOWN),
    (DEVICES, "hardware without a load", case("expected", with_values(loadable=False)), UNKNOWN),
    (SERVICE, "everything is collected, declared or not", case("collected", _undeclared_too), FAIL),
    (SERVICE, "a stub that always answers ten", case("collected", _another_value), FAIL),
    (SERVICE, "a label that was guessed", case("collected", _another_token), FAIL),
    (SERVICE, "what was collected once stays", _as_before, FAIL),
    (SERVICE, "the second look was left out", case("followed", without), UNKNOWN),
    (SERVICE, "a workload did not change", case("redrawn", _one_undrawn), UNKNOWN),
    (SERVICE, "a workload did not start", case("served", with_values(found=[]), who="undeclared"), ENVIRONMENT),
    (SERVICE, "nothing is collected", case("collected", with_values(found=[])), FAIL),
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
    (OPERATOR, "it does not heal", _never_back, FAIL),
    (OPERATOR, "there is no webhook", case("operator", with_values(hooks=[]), name="JobSet"), UNKNOWN),
    (
        CLAIMS,
        "another device is given",
        _holder("positive", allocated=[{"driver": "x", "pool": "x", "device": "x"}]),
        FAIL,
    ),
    (CLAIMS, "an impossible claim is met", _holder("negative", ever=1), FAIL),
    (CLAIMS, "a device is given twice", _holder("control", ever=1), FAIL),
    (CLAIMS, "a device is not given back", _holder("released", devices=[]), FAIL),
    (CLAIMS, "the container has another device", _holder("positive", printed=["is ACC-0"]), FAIL),
    (CLAIMS, "the next has another device", _holder("released", printed=["is ACC-0"]), FAIL),
    (CLAIMS, "a plain file is given", case("holder", _files, case="positive"), FAIL),
    (CLAIMS, "nobody says why claims wait", _holder("control", unscheduled=""), UNKNOWN),
    (CLAIMS, "the device is held by others", _holder("positive", devices=[], unscheduled="none"), ENVIRONMENT),
    (CLAIMS, "the control was left out", case("holder", without, case="control"), UNKNOWN),
    (SHARED, "every pod has its own device", case("holder", _apart, case="holds"), FAIL),
    (SHARED, "there is no limit", case("holder", without, case="waits"), FAIL),
    (SHARED, "a place is not given back", _holder("released", devices=[]), FAIL),
    (SHARED, "plain files are shared", case("holder", _files, case="holds"), FAIL),
    (SHARED, "nobody says why the next waits", _holder("waits", unscheduled=""), UNKNOWN),
    (PARTS, "two parts are one device", _same_devices("part-2", "part-1"), FAIL),
    (PARTS, "the whole is given out beside its parts", _holder("whole", allocated=[{"device": "x"}]), FAIL),
    (PARTS, "the whole is not given back", _holder("released", devices=[]), FAIL),
    (PARTS, "no part was free", _holder("part-1", devices=[], unscheduled="none"), ENVIRONMENT),
    (DRIVER, "another version is advertised", case("advertised", with_values(found=["9.9.9"])), FAIL),
    (DRIVER, "a version that begins alike", case("holder", with_values(printed=["version 1.2.01"])), FAIL),
    (DRIVER, "no version is advertised", case("advertised", with_values(found=[])), FAIL),
    (DRIVER, "no version is seen", case("holder", with_values(printed=[])), UNKNOWN),
    (DRIVER, "no accelerator was free", case("holder", with_values(devices=[])), ENVIRONMENT),
    (SANDBOX, "the sandbox is on the node's kernel", _another_kernel_of("sandbox", "twin-1"), FAIL),
    (SANDBOX, "only the kernel's files differ", _kernel_files_only, FAIL),
    (SANDBOX, "two plain pods differ", _another_kernel_of("twin-2", "sandbox"), UNKNOWN),
    (SANDBOX, "the sandbox does not run", case("kernel", with_values(said={}), role="sandbox"), FAIL),
    (SANDBOX, "the twins ran elsewhere", case("kernel", with_values(node="elsewhere"), role="twin-1"), UNKNOWN),
]
