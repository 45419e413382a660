"""Which accelerators a part asks for: combinations that there are, and what follows from a slice."""

from __future__ import annotations

from msgspec.structs import replace

from plimsoll.application.accelerators import SIZES, TPUS, WHOLE, Layout, layout_of, layouts, topologies
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Resources

At = str | int


def check_accelerators(file: ApplicationFile, resources: Resources, *at: At) -> None:
    """Raise FileError for accelerators of a part with one worker that no machine has. `at` is the part's place."""
    _check(file, resources, 1, *at)
    found = _layout(resources, 1)
    if found is not None and found.hosts > 1:
        single = ", ".join(each for each in topologies() if layouts(each)[0].hosts == 1)
        text = f"a slice {resources.slice} is on {found.hosts} hosts, and only a training has several workers"
        raise file.error(text, f"write one of a single host: {single}", *at, "resources", "slice")


def check_gang_accelerators(file: ApplicationFile, resources: Resources, workers: int, *at: At) -> None:
    """Raise FileError for accelerators of a gang that no machines have. `at` is the training's place."""
    _check(file, resources, workers, *at)
    name = resources.accelerator
    whole = WHOLE.get(name or "")
    if whole is not None and workers > 1 and resources.accelerators != whole:
        text = f"{workers} workers with {name} reach each other by EFA, which only a whole node has"
        raise file.error(text, f"write accelerators: {whole}", *at, "resources", "accelerators")


def settled_resources(resources: Resources, workers: int = 1) -> Resources:
    """The resources with as many accelerators as a host of the slice has."""
    found = _layout(resources, workers)
    return replace(resources, accelerators=found.chips) if found is not None else resources


def settled_workers(resources: Resources, workers: int) -> int:
    """The workers of a gang: one on each host of its slice."""
    found = _layout(resources, workers)
    return found.hosts if found is not None else workers


def _layout(resources: Resources, workers: int) -> Layout | None:
    return layout_of(resources.slice, workers, resources.accelerators) if resources.slice is not None else None


def _check(file: ApplicationFile, resources: Resources, workers: int, *at: At) -> None:
    name = resources.accelerator
    place = (*at, "resources")
    if name in TPUS:
        _check_slice(file, resources, workers, *at)
        return
    if resources.slice is not None:
        hint = f"write accelerator: {' or '.join(sorted(TPUS))}, or remove it"
        raise file.error("`slice` is for TPUs", hint, *place, "slice", at_key=True)
    if name is not None and resources.accelerators not in SIZES[name]:
        sizes = SIZES[name]
        allowed = f"1 to {sizes[-1]}" if len(sizes) == sizes[-1] else ", ".join(map(str, sizes))
        found = resources.accelerators or "no"
        text = f"{found} accelerators {name} are no part of a node"
        raise file.error(text, f"write accelerators: one of {allowed}", *place, "accelerator")


def _check_slice(file: ApplicationFile, resources: Resources, workers: int, *at: At) -> None:
    name, asked, place = resources.accelerator, resources.slice, (*at, "resources")
    if asked is None:
        hint = f"write slice: one of {', '.join(topologies())}"
        raise file.error(f"{name} is used by slices", hint, *place, "accelerator", at_key=True)
    ways = layouts(asked)
    if not ways:
        hint = f"there are {', '.join(topologies())}"
        raise file.error(f"there is no slice {asked} of {name}", hint, *place, "slice")
    if _layout(resources, workers) is None:
        said = " and ".join(
            text
            for text, is_said in (
                (f"workers: {workers}", workers != 1),
                (f"accelerators: {resources.accelerators}", resources.accelerators),
            )
            if is_said
        )
        fits = ", or ".join(f"workers: {each.hosts} and accelerators: {each.chips}" for each in ways)
        text = f"a slice {asked} of {name} is not had with {said}"
        raise file.error(text, f"leave `workers` and `accelerators` out, or write {fits}", *place, "slice")
