"""A model card as Markdown, for people. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from plimsoll.screens.attack import Membership
from plimsoll.supply.group_figures import Group, Judged
from plimsoll.supply.model_card import DataFacts, DataScreen, Explained, ModelCard

UNKNOWN = "not recorded"
_ESCAPED = str.maketrans({sign: f"\\{sign}" for sign in "\\`|<[]*"})


def markdown(card: ModelCard, signed_by: str = "", drift: Sequence[str] = ()) -> str:
    """The card. `drift` is what services have found out about the version since, which nobody has signed."""
    return "\n".join(_lines(card, signed_by, drift)) + "\n"


def _lines(card: ModelCard, signed_by: str, drift: Sequence[str]) -> Iterator[str]:
    yield f"# Model card of {text(card.model)}"
    yield from ("", f"`{text(card.digest)}`, registered {card.created} by {text(card.made_by)}.")
    verdict = "accepted" if not card.refusals else f"not accepted: {'; '.join(map(text, card.refusals))}"
    signed = (
        f"signed by key `{text(signed_by)}`" if signed_by else "not signed: made of the signed record of the version"
    )
    yield from ("", f"The version is {verdict}. This card is {signed}.")
    yield from ("", "## Purpose", "", _known(card.purpose))
    yield from ("", "## Limits", "", *([f"- {text(each)}" for each in card.limits] or [UNKNOWN]))
    yield from ("", "## Licence and origin", "", *_origin(card))
    yield from ("", "## Data", "", *_data(card.data))
    yield from ("", "## Screens of the data", "", *_screens(card.screens))
    yield from ("", "## Figures", "", *_figures(card))
    yield from ("", "## Figures by group", "", *_groups(card.judged))
    yield from ("", "## Membership inference", "", *_membership(card.membership))
    yield from ("", "## What the answers depend on", "", *_explained(card.explained))
    yield from ("", "## Drift since", "", *([f"- {text(each)}" for each in drift] or [UNKNOWN]))
    yield from ("", "## Lineage", "", *_lineage(card))
    if card.not_recorded:
        yield from ("", "## Not recorded", "", *(f"- {text(each)}" for each in (*card.not_recorded, *card.notes)))


def _origin(card: ModelCard) -> Iterator[str]:
    says = f", says {text(card.licence_from)}" if card.licence_from else ""
    yield f"- licence: {_known(card.licence)}{says}"
    if card.origin is None:
        yield "- origin: trained by this application"
        return
    yield f"- origin: brought from {text(card.origin.source)}"
    yield f"- format: {_known(' '.join(filter(None, (card.origin.format, card.origin.about))))}"


def _data(found: Sequence[DataFacts]) -> Iterator[str]:
    if not found:
        yield UNKNOWN
        return
    yield from _table(("data", "rows", "period", "digest"), (_data_row(each) for each in found))


def _data_row(each: DataFacts) -> tuple[str, ...]:
    period = each.period
    told = f"{text(period.column)} {text(period.first)} to {text(period.last)}" if period else UNKNOWN
    rows = str(each.rows) if each.rows is not None else UNKNOWN
    digest = f"sha256 {each.sha256[:16]}" if each.sha256 else (text(each.digest[:16]) or UNKNOWN)
    return text(each.name), rows + (f" ({text(each.note)})" if each.note else ""), told, digest


def _screens(found: Sequence[DataScreen]) -> Iterator[str]:
    if not found:
        yield UNKNOWN
    for each in found:
        if each.note:
            yield f"- {text(each.screen)}: {UNKNOWN} ({text(each.note)})"
            continue
        yield f"- {text(each.screen)}: {each.rows} rows of {text(each.table)}, {each.held_out} rows held out"
        for name, value in each.figures.items():
            bound = each.accept.get(name, "")
            yield f"  - {text(name)} {value:.4g}{f', bound {text(bound)}' if bound else ''}"
        yield from (f"  - {text(name)} was not measured: {text(why)}" for name, why in each.unmeasured.items())
        yield from (f"  - {text(line)}" for line in each.findings)


def _membership(found: Membership | None) -> Iterator[str]:
    if found is None:
        yield UNKNOWN
        return
    yield (
        f"How well an attacker who sees a row, its label and the answer tells whether it was learnt from, over"
        f" {found.members} rows that were and {found.others} that were not. 0.5 is guessing."
    )
    yield ""
    yield from _table(
        ("attack", "area under the curve", "95 % interval", "true positives at 1 % false", "95 % interval "),
        (
            (
                text(each.name),
                f"{each.auc:.3f}",
                f"{each.auc_low:.3f} to {each.auc_high:.3f}",
                f"{each.tpr:.3f}",
                f"{each.tpr_low:.3f} to {each.tpr_high:.3f}",
            )
            for each in found.attacks
        ),
    )


def _figures(card: ModelCard) -> Iterator[str]:
    if not card.figures:
        yield UNKNOWN
        return
    bounds = card.accept
    yield from _table(
        ("figure", "value", "bound"),
        ((text(name), f"{value:.6g}", text(bounds.get(name, ""))) for name, value in card.figures.items()),
    )


def _groups(judged: Judged | None) -> Iterator[str]:
    if judged is None:
        yield UNKNOWN
        return
    of = f" Precision and recall are of the class {text(judged.positive)}." if judged.positive else ""
    yield f"From {text(judged.source)}, {judged.rows} rows.{of}"
    yield from (f"- {text(note)}" for note in judged.notes)
    yield ""
    names = list(judged.figures)
    whole = Group(column="", value="all rows", rows=judged.rows, figures=judged.figures)
    yield from _table(("group", "rows", *names), (_group_row(each, names) for each in (whole, *judged.groups)))
    if any(each.few for each in judged.groups):
        yield from ("", "Groups marked with (few) have so few rows that their figures say little.")


def _group_row(each: Group, names: Sequence[str]) -> tuple[str, ...]:
    name = f"{text(each.column)} {text(each.value) or '(empty)'}".strip()
    figures = (f"{each.figures[figure]:.4g}" if figure in each.figures else "–" for figure in names)
    return name, f"{each.rows}{' (few)' if each.few else ''}", *figures


def _explained(found: Explained | None) -> Iterator[str]:
    if found is None:
        yield UNKNOWN
        return
    yield f"Mean of the absolute contributions ({text(found.method)}) over {found.rows} rows of {text(found.data)}."
    yield ""
    rows = ((text(each.name), f"{each.mean:.4g}", f"{each.share:.1%}") for each in found.features)
    yield from _table(("feature", "mean", "share"), rows)
    if found.more:
        yield from ("", f"{found.more} more features contribute less.")


def _lineage(card: ModelCard) -> Iterator[str]:
    lineage = card.lineage
    commit = (
        f"{text(lineage.commit)}{', with changes' if lineage.changed_since_commit else ''}" if lineage.commit else ""
    )
    yield f"- run {text(lineage.run)}, step {text(lineage.step)}, framework {text(lineage.framework)}"
    yield f"- command: {_known(lineage.command)}"
    yield f"- commit: {commit or UNKNOWN}"
    yield f"- environment: {_known((lineage.environment or '')[:16])}"
    if lineage.base:
        yield f"- adapter of {text(lineage.base)}"
    yield from _named("code", lineage.code)
    yield from _named("file", card.files)


def _named(kind: str, digests: Mapping[str, str]) -> Iterator[str]:
    for name, digest in digests.items():
        yield f"- {kind} {text(name)}: `{text(digest.removeprefix('sha256:')[:16])}`"


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(name.replace('_', ' ') for name in names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _known(value: str | None) -> str:
    return text(value) if value else UNKNOWN


def text(value: str) -> str:
    """Text of others on one line, in which nothing is markup."""
    visible = ("" if unicodedata.category(sign) in {"Cc", "Cf"} and not sign.isspace() else sign for sign in value)
    return " ".join("".join(visible).split()).translate(_ESCAPED)
