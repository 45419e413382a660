"""Kinds of accelerators in a file: slices and their hosts, and combinations that no machine has."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.application.accelerators import chips_of, layout_of, layouts, topologies
from plimsoll.errors import FileError
from plimsoll.kinds.accelerators import settled_workers
from plimsoll.kinds.model import MODELS
from plimsoll.kinds.table import KINDS

HEAD = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: t}\nspec:\n"


def workers(directory: Path, settings: str) -> int:
    (directory / "train.py").write_text("print(1)\n")
    path = directory / "plimsoll.yaml"
    path.write_text(f"{HEAD}  models:\n    m: {{train: {{run: python train.py, {settings}}}}}\n")
    file = KINDS.load(path)
    KINDS.check(file, None)
    train = MODELS.of(file.application)["m"].train
    assert train is not None
    return settled_workers(train.resources, train.workers)


@given(st.sampled_from(topologies()))
def test_hosts_and_their_chips_are_all_chips_of_a_slice(topology: str) -> None:
    assert all(each.hosts * each.chips == chips_of(topology) for each in layouts(topology))
    assert layouts(topology)


@given(st.sampled_from(topologies()), st.integers(0, 300), st.integers(0, 16))
def test_a_layout_never_contradicts_what_the_file_says(topology: str, workers: int, accelerators: int) -> None:
    found = layout_of(topology, workers, accelerators)
    if found is None:
        # No way to have the slice fits both numbers.
        assert not any(workers in (1, each.hosts) and accelerators in (0, each.chips) for each in layouts(topology))
        return
    assert workers in (1, found.hosts)
    assert accelerators in (0, found.chips)


@given(st.integers(1, 40), st.integers(1, 40))
def test_a_topology_that_there_is_not_has_no_layout(first: int, second: int) -> None:
    topology = f"{first}x{second}"
    assert bool(layouts(topology)) == (topology in topologies())


@pytest.mark.parametrize(
    ("settings", "hosts"),
    [
        ("resources: {accelerator: v5e, slice: 1x1}", 1),
        ("resources: {accelerator: v5e, slice: 4x4}", 4),
        ("resources: {accelerator: v6e, slice: 16x16}", 64),
        ("workers: 4, resources: {accelerator: v6e, slice: 4x4, accelerators: 4}", 4),
        ("resources: {accelerator: v5e, slice: 2x4}", 1),
        ("resources: {accelerator: v5e, slice: 2x4, accelerators: 4}", 2),
        ("workers: 2, resources: {accelerator: v5e, slice: 2x4}", 2),
        ("workers: 3, resources: {accelerators: 1}", 3),
        ("workers: 2, resources: {accelerator: trn1, accelerators: 16}", 2),
    ],
)
def test_a_training_has_a_worker_on_each_host_of_its_slice(tmp_path: Path, settings: str, hosts: int) -> None:
    assert workers(tmp_path, settings) == hosts


@pytest.mark.parametrize(
    ("settings", "words", "remedy"),
    [
        ("resources: {accelerator: v5e}", "v5e is used by slices", "1x1, 2x2, 2x4, 4x4"),
        ("resources: {accelerator: v5e, slice: 3x3}", "there is no slice 3x3 of v5e", "there are 1x1, 2x2"),
        ("resources: {accelerator: v6e, slice: 2x2x2}", "there is no slice 2x2x2 of v6e", "there are 1x1"),
        (
            "workers: 3, resources: {accelerator: v6e, slice: 4x4}",
            "a slice 4x4 of v6e is not had with workers: 3",
            "write workers: 4 and accelerators: 4",
        ),
        (
            "workers: 2, resources: {accelerator: v6e, slice: 2x4, accelerators: 8}",
            "is not had with workers: 2 and accelerators: 8",
            "workers: 1 and accelerators: 8, or workers: 2 and accelerators: 4",
        ),
        ("resources: {slice: 4x4}", "`slice` is for TPUs", "write accelerator: v5e or v6e"),
        ("resources: {accelerator: h100, slice: 4x4}", "`slice` is for TPUs", "accelerator: v5e"),
        ("resources: {accelerator: h100}", "no accelerators h100", "one of 1 to 8"),
        ("resources: {accelerator: trn1, accelerators: 3}", "3 accelerators trn1", "one of 1, 4, 8, 16"),
        (
            "workers: 2, resources: {accelerator: trn2, accelerators: 4}",
            "2 workers with trn2 reach each other by EFA",
            "write accelerators: 16",
        ),
    ],
)
def test_a_combination_that_no_machine_has_is_refused_with_those_that_there_are(
    tmp_path: Path, settings: str, words: str, remedy: str
) -> None:
    with pytest.raises(FileError) as refused:
        workers(tmp_path, settings)
    assert words in str(refused.value)
    assert remedy in refused.value.hint
    assert "plimsoll.yaml:6:" in str(refused.value)


def test_a_part_with_one_worker_takes_no_slice_of_several_hosts(tmp_path: Path) -> None:
    path = tmp_path / "plimsoll.yaml"
    (tmp_path / "a.py").write_text("print(1)\n")
    resources = "resources: {accelerator: v5e, slice: 4x4}"
    path.write_text(f"{HEAD}  datasets:\n    d: {{run: python a.py, outputs: [x], {resources}}}\n")
    with pytest.raises(FileError, match="on 4 hosts, and only a training has several workers") as refused:
        KINDS.check(KINDS.load(path), None)
    assert "1x1, 2x2, 2x4" in refused.value.hint
