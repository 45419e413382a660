"""What a file says for the card of a model: what it is for, its limits, and what the card is to tell besides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Part
from plimsoll.kinds.tables import check_table, extras_of_table
from plimsoll.planning.steps import InputFile

Sentence = Annotated[str, Meta(min_length=1, max_length=2000)]
Column = Annotated[str, Meta(min_length=1, max_length=200)]


class Card(Part, frozen=True, kw_only=True):
    """What the owner states of a model, and what its card is to tell besides what is recorded anyway."""

    purpose: Annotated[Sentence, Meta(description="what the model is for, and what it is not for")] | None = None
    limits: Annotated[
        tuple[Sentence, ...], Meta(max_length=50, description="what it cannot do, or was not tried on")
    ] = ()
    groups: Annotated[
        tuple[Column, ...],
        Meta(max_length=20, description="columns of predictions.csv: figures by each of their values"),
    ] = ()
    period: (
        Annotated[Column, Meta(description="the column of the training's tables that says when a row is of")] | None
    ) = None
    licence: Annotated[Sentence, Meta(description="the licence of a trained model, as an SPDX expression")] | None = (
        None
    )
    explain: (
        Annotated[str, Meta(min_length=1, description="the table over whose rows the card sums up explanations")] | None
    ) = None


class CardPlan(Struct, frozen=True, kw_only=True):
    """What the card of a version is made with: the words of the file, and the tables that are read for it.

    `data` are the inputs of the training, `explain` is the table over whose rows explanations are summed up.
    """

    purpose: str = ""
    limits: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    period: str = ""
    licence: str = ""
    data: tuple[InputFile, ...] = ()
    explain: InputFile | None = None

    def needed_extras(self) -> Iterator[str]:
        """What explanations are computed with."""
        if self.explain is not None:
            yield from ("serve", "explain")
            yield from extras_of_table(self.explain)


def check_card(file: ApplicationFile, card: Card, *at: str | int, brought: bool) -> None:
    """Raise FileError for what is no table, a column that is named twice, and a licence that is said elsewhere."""
    if card.explain is not None:
        check_table(file, card.explain, "a card sums up the explanations of", *at, "explain")
    for number, column in enumerate(card.groups):
        if column in card.groups[:number]:
            raise file.error(f"the column '{column}' is named twice", "keep one of them", *at, "groups", number)
    if brought and card.licence is not None:
        hint = "write it as `licence` of the model: there it counts for `licences` too"
        raise file.error("the licence of a brought model is not for its card", hint, *at, "licence", at_key=True)
    if brought and card.groups:
        hint = "remove it: figures by group are of the rows that a training held out"
        raise file.error("`groups` is only for a model that is trained", hint, *at, "groups", at_key=True)


def planned_card(card: Card, data: tuple[InputFile, ...], explain: InputFile | None) -> CardPlan:
    """The words of the file with the tables that they name."""
    return CardPlan(
        purpose=card.purpose or "",
        limits=card.limits,
        groups=card.groups,
        period=card.period or "",
        licence=card.licence or "",
        data=data,
        explain=explain,
    )
