"""What a file says for an attack of membership inference on a model: rows learnt from, and rows not seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from msgspec import Meta, Struct

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Part
from plimsoll.kinds.dataset import DATASETS
from plimsoll.kinds.tables import check_table, extras_of_table
from plimsoll.planning.planner import Planner
from plimsoll.planning.steps import InputFile
from plimsoll.screens.attack import FIGURES


class MembershipTest(Part, frozen=True, kw_only=True):
    """Tables of rows that the model learnt from, and of rows that it has not seen, with their true labels."""

    members: Annotated[str, Meta(description="a table of rows that it learnt from, as name/file")]
    others: Annotated[str, Meta(description="a table of rows that it has not seen, as name/file")]
    label: Annotated[str, Meta(min_length=1, max_length=1024, description="the column with the true labels")]


class MembershipPlan(Struct, frozen=True, kw_only=True):
    """The tables and the column of the labels."""

    members: InputFile
    others: InputFile
    label: str

    @property
    def inputs(self) -> tuple[InputFile, ...]:
        """Both tables."""
        return (self.members, self.others)

    def needed_extras(self) -> Iterator[str]:
        """What the model answers with, and the format of the tables."""
        yield "serve"
        for table in self.inputs:
            yield from extras_of_table(table)


def check_membership(
    file: ApplicationFile, test: MembershipTest | None, accept: Mapping[str, str], *at: str | int
) -> None:
    """Raise FileError for what is no table, one table twice, and a bound on an attack that nobody tries."""
    if test is None:
        for figure in accept:
            if figure in FIGURES:
                hint = "add membership: {members: DATASET/FILE, others: DATASET/FILE, label: COLUMN}"
                raise file.error(
                    f"`{figure}` is of an attack that is not tried", hint, *at, "accept", figure, at_key=True
                )
        return
    for word in ("members", "others"):
        check_table(file, getattr(test, word), "an attack reads", *at, "membership", word)
    if test.members == test.others:
        hint = "name rows that the model has not seen"
        raise file.error("members and others are the same table", hint, *at, "membership", "others")


def planned_membership(planner: Planner, test: MembershipTest | None) -> MembershipPlan | None:
    """The tables as inputs; None where no attack is tried."""
    if test is None:
        return None
    members, others = DATASETS.inputs(planner, (test.members, test.others))
    return MembershipPlan(members=members, others=others, label=test.label)
