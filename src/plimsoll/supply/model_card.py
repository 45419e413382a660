"""The card of a model's version: what it was made of, how good it is and for whom, its limits. Pure.

Everything in it is recorded somewhere or stated in the application file, and nothing is filled in. What is not known
is null, and `not_recorded` names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.kinds.card import CardPlan
from plimsoll.registry.versions import ModelVersion
from plimsoll.screens.attack import Membership
from plimsoll.supply.group_figures import Judged

PREDICATE = "https://plimsoll.dev/model-card/v1"
"""The type of the signed statement that has a card."""


class Period(Struct, frozen=True, kw_only=True):
    """The first and the last moment in a column, as the column has them."""

    column: str
    first: str
    last: str


class DataFacts(Struct, frozen=True, kw_only=True):
    """One input of a training. `digest` is that of the lineage, `sha256` that of the file that was read for the card.

    `rows` and `period` are None where nobody counted, as `note` says.
    """

    name: str
    digest: str = ""
    sha256: str = ""
    rows: int | None = None
    period: Period | None = None
    note: str = ""


class FeatureShare(Struct, frozen=True, kw_only=True):
    """What a feature contributes: the mean of its absolute SHAP values, and its share of the sum of all."""

    name: str
    mean: float
    share: float


class Explained(Struct, frozen=True, kw_only=True):
    """The features of a model by what they contribute over `rows` rows of a table; `more` were left out."""

    data: str
    rows: int
    method: str
    features: tuple[FeatureShare, ...]
    more: int = 0


class DataScreen(Struct, frozen=True, kw_only=True):
    """A screen that the rows of a training went through: what it looked at, its figures, the bounds that held.

    `unmeasured` says of figures why they are not there, `first` has those that had no version before to compare with.
    `sha256` is that of the report. `note` says why nothing is known of the screen.
    """

    screen: str
    table: str = ""
    rows: int = 0
    held_out: int = 0
    figures: Mapping[str, float] = {}
    accept: Mapping[str, str] = {}
    unmeasured: Mapping[str, str] = {}
    first: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    sha256: str = ""
    note: str = ""


class CardOrigin(Struct, frozen=True, kw_only=True):
    """Where a model is from that was not trained here."""

    source: str
    sha256: str
    format: str
    about: str


class CardLineage(Struct, frozen=True, kw_only=True):
    """How a version was made: its run, command, code, environment, and the model that an adapter is of."""

    run: str
    step: str
    framework: str
    command: str | None
    environment: str | None
    commit: str | None
    changed_since_commit: bool
    code: Mapping[str, str]
    base: str | None


class Evidence(Struct, frozen=True, kw_only=True):
    """What was found for a card besides the version's record."""

    data: tuple[DataFacts, ...] = ()
    judged: Judged | None = None
    judged_note: str = ""
    explained: Explained | None = None
    explained_note: str = ""
    screens: tuple[DataScreen, ...] = ()
    membership: Membership | None = None
    membership_note: str = ""


@decodable
class ModelCard(Struct, frozen=True, kw_only=True):
    """A card. `purpose`, `limits` and a trained model's licence are the owner's words; the rest is what was recorded.

    `made_by` is who registered the version. `notes` say why something is not recorded.
    """

    model: str
    digest: str
    created: str
    made_by: str
    purpose: str | None
    limits: tuple[str, ...]
    licence: str | None
    licence_from: str | None
    data: tuple[DataFacts, ...]
    figures: Mapping[str, float]
    accept: Mapping[str, str]
    refusals: tuple[str, ...]
    judged: Judged | None
    explained: Explained | None
    origin: CardOrigin | None
    lineage: CardLineage
    files: Mapping[str, str]
    notes: tuple[str, ...]
    not_recorded: tuple[str, ...]
    screens: tuple[DataScreen, ...] = ()
    membership: Membership | None = None


def model_card(version: ModelVersion, plan: CardPlan | None = None, evidence: Evidence | None = None) -> ModelCard:
    """The card of a version; without a plan and evidence, what its own record tells."""
    plan, evidence = plan or CardPlan(), evidence or Evidence()
    lineage, origin = version.lineage, version.lineage.origin
    licence, says = (origin.licence, origin.licence_from) if origin else (plan.licence, "the application file")
    data = _with_digests(evidence.data, lineage.data)
    return ModelCard(
        model=version.reference,
        digest=version.digest,
        created=f"{version.created:%Y-%m-%dT%H:%M:%SZ}",
        made_by=version.author,
        purpose=plan.purpose or None,
        limits=plan.limits,
        licence=licence or None,
        licence_from=(says if licence else "") or None,
        data=data,
        figures=version.metrics,
        accept=version.accept,
        refusals=version.refusals,
        judged=evidence.judged,
        explained=evidence.explained,
        origin=CardOrigin(source=origin.source, sha256=origin.sha256, format=origin.format, about=origin.about)
        if origin
        else None,
        lineage=CardLineage(
            run=lineage.run,
            step=lineage.step,
            framework=lineage.framework,
            command=lineage.command or None,
            environment=lineage.environment or None,
            commit=lineage.commit or None,
            changed_since_commit=lineage.dirty,
            code=lineage.code,
            base=f"{lineage.base.reference} {lineage.base.digest}" if lineage.base else None,
        ),
        files={name: entry.digest for name, entry in version.files.items()},
        notes=tuple(filter(None, (evidence.judged_note, evidence.explained_note, evidence.membership_note))),
        not_recorded=tuple(_not_recorded(version, plan, evidence, data, licence)),
        screens=evidence.screens,
        membership=evidence.membership,
    )


def _with_digests(found: tuple[DataFacts, ...], digests: Mapping[str, str]) -> tuple[DataFacts, ...]:
    """The inputs that were looked at, and after them what else the lineage has the digests of."""
    names = {each.name for each in found}
    whole = {each.partition("/")[0] for each in names}
    rest = [
        DataFacts(name=name, digest=digest, note="only its digest is recorded")
        for name, digest in sorted(digests.items())
        if name not in names and not (name in whole and "/" not in name)
    ]
    return (*found, *rest)


def _not_recorded(
    version: ModelVersion, plan: CardPlan, evidence: Evidence, data: tuple[DataFacts, ...], licence: str
) -> Iterator[str]:
    for name, known in (("purpose", plan.purpose), ("limits", plan.limits), ("licence", licence), ("data", data)):
        if not known:
            yield name
    for each in data:
        if each.rows is None:
            yield f"rows of {each.name}"
        if each.period is None:
            yield f"period of {each.name}"
    if not version.metrics:
        yield "figures"
    if evidence.judged is None or not evidence.judged.groups:
        yield "figures by group"
    if evidence.explained is None:
        yield "explanation summary"
    if not evidence.screens:
        yield "screens of the data"
    yield from (f"screen {each.screen}" for each in evidence.screens if each.note)
    if evidence.membership is None:
        yield "membership inference"
    if not version.lineage.commit:
        yield "commit"
