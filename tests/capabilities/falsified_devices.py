"""Falsified records of accelerators, their drivers and sandboxes."""

from __future__ import annotations

import itertools

from tests.capabilities.falsifying import ENVIRONMENT, FAIL, UNKNOWN, Cheat, Falsify, case
from tests.capabilities.recorded import Fact, Record, changed, with_values, without

ACCESS = "secure_accelerator_access"
DEVICES = "accelerator_metrics"
CLAIMS = "dra_support"
SHARED = "gpu_sharing"
PARTS = "virtualized_accelerator"
DRIVER = "driver_runtime_management"
SANDBOX = "workload_sandboxing"


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


CHEATS: list[Cheat] = [
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
