"""The verdict from scrapes of the exporters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from plimsoll.capabilities.accelerator_metrics.records import Allocated, Loaded, MetricsExpected, Scraped
from plimsoll.capabilities.records import DidNotCome, MalformedRecord, Recorded
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown

_RISE, _STILL = 0.3, 0.2
_LEAST_SHARE, _MOST_SHARE, _STRAY = 0.9, 1.3, 0.1
"""Shares of the memory that a holder took: what its device may show of it, and what may change elsewhere."""
_LEAST_LOOKS = 4
_EXPORTER = "see the exporter of the accelerators' driver"
CASES = ("idle", "loaded", "after")
MEMORY_CASES = ("empty", "held", "freed")
_MIB = 1 << 20
HELD = "a device to be held"
"""The wait for the pod with the load, as it is recorded."""
Scrapes = dict[str, list[Scraped]]


def judge(record: Recorded) -> Verdict:
    """Series per device, in range, that follow its load and what is held of it. One such endpoint is enough."""
    expected = record.first(MetricsExpected)
    if expected is None:
        return unknown("nothing was scraped")
    scrapes: dict[str, Scrapes] = {}
    for each in record.all(Scraped):
        scrapes.setdefault(each.endpoint, {}).setdefault(each.case, []).append(each)
    if not scrapes and any(each.what == HELD for each in record.all(DidNotCome)):
        return _no_load(expected)
    if not scrapes:
        return failed(
            f"0 of {expected.devices} devices",
            f"no pod on {expected.node} serves metrics of {expected.hardware}",
            "install its exporter",
        )
    loaded, allocated = record.first(Loaded), record.first(Allocated)
    verdicts = {endpoint: _of_endpoint(loaded, allocated, found, expected) for endpoint, found in scrapes.items()}
    best = next((name for name, each in verdicts.items() if each.outcome is Outcome.PASS), "")
    if not best:
        return next(iter(verdicts.values()))
    others = [f"{name}: {each.figure or each.cause}" for name, each in verdicts.items() if name != best]
    return passed("; besides, ".join([verdicts[best].figure, *others]))


def _of_endpoint(
    loaded: Loaded | None, allocated: Allocated | None, scrapes: Scrapes, expected: MetricsExpected
) -> Verdict:
    for scrape in (each for case in scrapes.values() for each in case):
        if problem := _malformed(scrape, expected):
            return problem
    if not expected.loadable:
        return unknown(
            f"{expected.hardware}: every device has its series, but the probe knows no load for this hardware to see "
            "the series follow it",
            "show by hand that utilization follows a load",
        )
    if loaded is None:
        return _no_load(expected)
    if any(len(scrapes.get(case, [])) < _LEAST_LOOKS for case in CASES) or not loaded.did:
        return unknown("not every scrape was made, or the load did not run")
    idle, under_load, after = ([_utilization(each) for each in scrapes[case]] for case in CASES)
    verdict = _follows(idle, under_load, after, set(loaded.devices), expected.full)
    if verdict.outcome is not Outcome.PASS or not expected.allocates:
        return verdict
    return _memory_follows(scrapes, allocated, set(loaded.devices), expected.unit, verdict.figure)


def _memory_follows(scrapes: Scrapes, allocated: Allocated | None, held: set[str], unit: float, figure: str) -> Verdict:
    """The memory of the held device shows what its holder takes and gives back, and that of no other does."""
    if (
        allocated is None
        or not allocated.did
        or any(len(scrapes.get(case, [])) < _LEAST_LOOKS for case in MEMORY_CASES)
    ):
        return unknown("the holder did not take memory of its device, so that nothing shows whether metrics follow it")
    idle = [_memory(each, unit) for case in ("idle", "after") for each in scrapes[case]]
    # An exporter may be a second late: the last look of each case counts.
    empty, full, freed = (_memory(scrapes[case][-1], unit) for case in MEMORY_CASES)
    taken = allocated.bytes
    by_itself = max(
        _range(scrapes, device) for scrapes in (idle[:_LEAST_LOOKS], idle[-_LEAST_LOOKS:]) for device in full
    )
    rises = {device: full[device] - empty.get(device, 0) for device in full}
    mine = [rises[device] for device in rises if device in held]
    stray = max((abs(rise) for device, rise in rises.items() if device not in held), default=0.0)
    shown = f"{figure}; memory {min(mine, default=0) / _MIB:+.0f} MiB on the held device for {taken / _MIB:.0f} MiB"
    if by_itself > _STRAY * taken:
        moved = f"memory: {by_itself / _MIB:.0f} MiB up and down while nothing is taken"
        return failed(moved, "the memory changes by itself: it may not be measured at all", _EXPORTER)
    if not mine or min(mine) < _LEAST_SHARE * taken or max(mine) > _MOST_SHARE * taken:
        if not allocated.freed:
            return unknown(
                "the device's memory could not be given back, so that what is taken may have been taken before"
            )
        return failed(shown, "the memory does not follow what is held of the device", _EXPORTER)
    if stray > _STRAY * taken:
        return failed(shown, "another device's memory changed too", _EXPORTER)
    falls = [full[device] - freed.get(device, 0) for device in rises if device in held]
    if allocated.freed and min(falls) < _LEAST_SHARE * taken:
        return failed(shown, "the memory stays when it is given back", _EXPORTER)
    return passed(shown)


def _memory(scrape: Scraped, unit: float) -> dict[str, float]:
    """The memory of each device, in bytes."""
    found = {}
    for each in scrape.series:
        if not each.utilization:
            if each.value is None:
                raise MalformedRecord(f"{each.name} has no value")
            found[each.device] = each.value * unit
    return found


def _no_load(expected: MetricsExpected) -> Verdict:
    """Exporters are scraped only beside a pod with a device, so that without one nothing is known of them."""
    return environment_error(
        f"no pod with one of {expected.resource} started on {expected.node}", "free an accelerator there"
    )


def _malformed(scrape: Scraped, expected: MetricsExpected) -> Verdict | None:
    for word, is_utilization in (("utilization", True), ("memory", False)):
        series = [each for each in scrape.series if each.utilization == is_utilization]
        devices = {each.device for each in series if each.device}
        if len(devices) < expected.devices:
            figure = f"{word}: {len(devices)} of {expected.devices} devices"
            return failed(figure, f"not every accelerator of {expected.node} has its own series of {word}", _EXPORTER)
        highest = expected.full if is_utilization else float("inf")
        for each in series:
            if each.value is None or not 0 <= each.value <= highest:
                return failed(f"{each.name} is {each.value}", f"the value of {word} is out of range", _EXPORTER)
    return None


def _follows(
    idle: Sequence[dict[str, float]],
    loaded: Sequence[dict[str, float]],
    after: Sequence[dict[str, float]],
    held: set[str],
    full: float,
) -> Verdict:
    """An idle device is still, and its utilization then is far below that under load."""
    mine = held & set(loaded[0])
    if not mine:
        return unknown(f"no series is of the loaded device {sorted(held)}")
    one = min(mine)
    # Other work on the machine may starve the load for a moment: the best of the looks counts.
    best = max(loaded, key=lambda scrape: scrape.get(one, 0))
    before = {device: max(scrape.get(device, 0) for scrape in idle) for device in best}
    later = {device: max(scrape.get(device, 0) for scrape in after) for device in best}
    rises = {device: (best[device] - before[device]) / full for device in best}
    rise = min(rises[device] for device in mine)
    fall = min((best[device] - later[device]) / full for device in mine)
    others = max((each for device, each in rises.items() if device not in held), default=0.0)
    figure = f"{len(best)} devices; {rise:+.0%} on the loaded one, {others:+.0%} at most on another, {-fall:+.0%} after"
    if (restless := max(_range(scrapes, device) / full for scrapes in (idle, after) for device in mine)) > _STILL:
        moved = f"{restless:.0%} up and down on an idle device"
        return failed(moved, "the metrics change by themselves: they may not be measured at all", _EXPORTER)
    if rise < _RISE:
        return failed(figure, "the metrics do not follow the load: they may not be measured at all", _EXPORTER)
    if others > _STILL:
        return failed(figure, "another device's utilization rose too", _EXPORTER)
    if fall < _RISE:
        return failed(figure, "the utilization stays when the load is gone", _EXPORTER)
    return passed(figure)


def _range(scrapes: Iterable[dict[str, float]], device: str) -> float:
    values = [scrape.get(device, 0) for scrape in scrapes]
    return max(values) - min(values)


def _utilization(scrape: Scraped) -> dict[str, float]:
    found = {}
    for each in scrape.series:
        if each.utilization:
            if each.value is None:
                raise MalformedRecord(f"{each.name} has no value")
            found[each.device] = each.value
    return found
