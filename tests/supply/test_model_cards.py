from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from plimsoll.errors import FileError
from plimsoll.kinds.card import CardPlan
from plimsoll.kinds.table import KINDS
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import Lineage, ModelVersion, Origin
from plimsoll.signing.keys import KeyRing
from plimsoll.state.directory import StateDirectory
from plimsoll.supply.card_text import markdown
from plimsoll.supply.group_figures import FEW, MOST_GROUPS, HeldOut, average_precision, judge
from plimsoll.supply.held_out import judged
from plimsoll.supply.model_card import DataFacts, Evidence, ModelCard, Period, model_card
from plimsoll.targets.cards import attach_card, read_card
from plimsoll.targets.table_facts import facts_of

DIGEST = "a" * 64


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "registry", KeyRing(tmp_path / "keys"))


def registered(registry: ModelRegistry, origin: Origin | None = None) -> ModelVersion:
    source = registry.layout.root.parent / "model.onnx"
    source.write_bytes(b"weights")
    lineage = Lineage(
        run="r1", step="train/cards", key="k", data={"rows/train.csv": DIGEST, "raw": DIGEST}, origin=origin
    )
    return registry.add("cards", {"model.onnx": source}, lineage=lineage, metrics={"recall": 0.5}, accept={})


def predictions(directory: Path, head: str, *lines: str) -> Path:
    (directory / "predictions.csv").write_text("\n".join((head, *lines)) + "\n")
    return directory


def test_figures_by_group_are_those_of_the_groups_rows(tmp_path: Path) -> None:
    lines = ["1,1,0.9,web", "1,0,0.4,web", "0,1,0.6,web", "0,0,0.1,shop", "0,0,0.2,shop", "1,1,0.8,shop"]
    found, note = judged(predictions(tmp_path, "label,prediction,score,channel", *lines), ["channel"])
    assert found is not None
    assert note == ""
    assert (found.rows, found.positive) == (6, "1")
    web, shop = found.groups
    assert (web.value, web.rows, web.few) == ("web", 3, True)
    assert web.figures == pytest.approx(
        {
            "accuracy": 1 / 3,
            "positives": 2,
            "recall": 0.5,
            "precision": 0.5,
            "false_positive_rate": 1,
            "average_precision": 0.5 + 0.5 * 2 / 3,
        }
    )
    assert shop.figures["recall"] == shop.figures["precision"] == shop.figures["average_precision"] == 1
    assert found.figures["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3)


def test_average_precision_does_not_depend_on_the_order_of_rows_with_one_score() -> None:
    scored = [(0.5, True), (0.5, False), (0.7, False), (0.2, True), (0.5, True)]
    found = {round(average_precision(random.Random(seed).sample(scored, 5)), 12) for seed in range(20)}
    assert found == {round(2 / 3 * 2 / 4 + 1 / 3 * 3 / 5, 12)}
    assert average_precision([(0.1, False)]) == 0


def test_a_group_without_a_positive_row_has_no_recall_and_a_class_of_words_has_accuracy_alone() -> None:
    rows = [HeldOut(label="0", prediction="0", groups=("a",)), HeldOut(label="1", prediction="1.0", groups=("b",))]
    first, second = judge(rows, ["group"], "test").groups
    assert "recall" not in first.figures
    assert second.figures["recall"] == 1
    words = judge([HeldOut(label="PUMP", prediction="HOSE")], [], "test")
    assert (words.figures, words.positive) == ({"accuracy": 0.0}, "")


def test_numbers_are_judged_by_their_errors_however_large() -> None:
    rows = [
        HeldOut(label=str(label), prediction=str(label + error)) for label, error in ((1.5, 1), (2.5, -3), (9.5, 0))
    ]
    assert judge(rows, [], "test").figures == pytest.approx(
        {"mean_error": -2 / 3, "mean_absolute_error": 4 / 3, "rms_error": (10 / 3) ** 0.5}
    )
    huge = judge([HeldOut(label="-1.7e308", prediction="1.7e308")], [], "test").figures
    assert all(abs(value) <= 1e150 for value in huge.values())


def test_rare_values_are_one_group_and_an_empty_value_is_one_of_its_own() -> None:
    values = [value for number in range(MOST_GROUPS + 5) for value in [str(number)] * 2] + [""] * 3
    rows = [HeldOut(label="1", prediction="1", groups=(value,)) for value in values]
    groups = judge(rows, ["city"], "test").groups
    assert len(groups) == MOST_GROUPS + 1
    assert (groups[0].value, groups[0].rows) == ("", 3)
    assert (groups[-1].value, groups[-1].rows) == ("6 other values", 12)
    assert sum(group.rows for group in groups) == len(rows)
    assert all(group.few is (group.rows < FEW) for group in groups)


@pytest.mark.parametrize(
    ("head", "said"),
    [("label,guess", "no column prediction"), ("label,prediction", "has no rows"), ("\x00", "no column label")],
)
def test_predictions_that_cannot_be_judged_are_not_recorded_with_the_reason(
    tmp_path: Path, head: str, said: str
) -> None:
    found, note = judged(predictions(tmp_path, head), ["channel"])
    assert found is None
    assert said in note
    missing, note = judged(tmp_path / "nowhere", [])
    assert missing is None
    assert "wrote no predictions.csv" in note


def test_a_column_that_predictions_lack_is_named(tmp_path: Path) -> None:
    found, _ = judged(predictions(tmp_path, "label,prediction", "1,1"), ["channel"])
    assert found is not None
    assert found.groups == ()
    assert found.notes == ("predictions.csv has no column channel: no figures by channel",)


def test_rows_and_period_are_counted_in_each_table_of_an_input(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('day,text\n2024-03-01,"two\nlines"\n2023-12-31T23:00:00+02:00,b\n\n2024-02-29,c\n')
    (tmp_path / "b.csv").write_text("day\n7\n-2.5\n30\n")
    (tmp_path / "notes.txt").write_text("no table")
    first, second = facts_of("rows", tmp_path, "day")
    assert (first.name, first.rows) == ("rows/a.csv", 3)
    assert first.period == Period(column="day", first="2023-12-31T23:00:00+02:00", last="2024-03-01")
    assert len(first.sha256) == 64
    assert second.period == Period(column="day", first="-2.5", last="30")


@pytest.mark.parametrize(
    ("cells", "said"),
    [("x,1", "no column day"), ("day,2024-01-01,soon", "'soon'"), ("day,2024-01-01,5", "both"), ("day", "nothing")],
)
def test_a_period_that_is_none_is_not_recorded_with_the_reason(tmp_path: Path, cells: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(cells.replace(",", "\n") + "\n")
    (found,) = facts_of("a", tmp_path / "a.csv", "day")
    assert found.period is None
    assert found.rows == cells.count(",")
    assert said in found.note


def test_what_is_no_table_is_told_and_never_counted(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing")
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    for name, said in (
        ("broken.parquet", "cannot be read"),
        ("image.png", "no table"),
        ("missing.csv", "cannot be read"),
    ):
        (found,) = facts_of(name, tmp_path / name, "")
        assert found.rows is None
        assert said in found.note


def card_of(version: ModelVersion) -> ModelCard:
    plan = CardPlan(purpose="Scores | payments\n# for <review>", limits=("tried on one year",), licence="MIT")
    facts = DataFacts(name="rows/train.csv", sha256=DIGEST, rows=12, period=Period(column="day", first="1", last="9"))
    return model_card(version, plan, Evidence(data=(facts,), judged_note="why not"))


def test_a_card_names_what_is_not_recorded_and_fills_in_nothing(registry: ModelRegistry) -> None:
    version = registered(registry)
    card = card_of(version)
    assert card.not_recorded == (
        "rows of raw",
        "period of raw",
        "figures by group",
        "explanation summary",
        "screens of the data",
        "membership inference",
        "commit",
    )
    bare = model_card(version)
    assert (bare.purpose, bare.licence, bare.judged, bare.explained) == (None, None, None, None)
    assert {each.name: each.rows for each in bare.data} == {"rows/train.csv": None, "raw": None}
    assert {"purpose", "limits", "licence"} <= set(bare.not_recorded)
    said = markdown(bare)
    assert "- licence: not recorded\n" in said
    assert "not signed" in said


def test_the_words_of_others_are_no_markup_in_a_card(registry: ModelRegistry) -> None:
    said = markdown(card_of(registered(registry)), "key", ["\x1b[2Jno drift"])
    assert "Scores \\| payments # for \\<review>" in said
    assert "\x1b" not in said
    assert "| rows/train.csv | 12 | day 1 to 9 | sha256 aaaaaaaaaaaaaaaa |" in said


def test_a_brought_model_has_the_licence_and_the_origin_of_its_record(registry: ModelRegistry) -> None:
    origin = Origin(
        source="pypi:thing==1#m.onnx", sha256=DIGEST, format="onnx", licence="MIT", licence_from="its package"
    )
    card = model_card(registered(registry, origin))
    assert (card.licence, card.licence_from) == ("MIT", "its package")
    assert card.origin is not None
    assert "brought from pypi:thing==1#m.onnx" in markdown(card)


def test_a_card_is_signed_once_and_read_back_as_it_was(registry: ModelRegistry, tmp_path: Path) -> None:
    version, state = registered(registry), StateDirectory(tmp_path)
    unsigned = read_card(registry, version, state)
    assert (unsigned.card, unsigned.signed_by) == (model_card(version), "")
    card = card_of(version)
    attach_card(registry, version, card)
    count = len(registry.attestations(version))
    attach_card(registry, version, card)
    assert len(registry.attestations(version)) == count
    found = read_card(registry, version, state)
    assert found.card == card
    assert found.signed_by
    attach_card(registry, version, msgspec.structs.replace(card, purpose="another"))
    assert len(registry.attestations(version)) == count + 1
    assert read_card(registry, version, state).card.purpose == "another"


def test_what_services_found_of_the_drift_of_exactly_this_version_stands_beside_it(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    version, state = registered(registry), StateDirectory(tmp_path)
    state.drift.mkdir(parents=True)
    for number, rows in (("1", 70), ("2", 90)):
        told = {"model": "cards", "version": number, "rows": rows, "skipped": 0, "windows": 1}
        (state.drift / f"scoring.{number}.state.json").write_bytes(msgspec.json.encode(told))
    (state.drift / "odd.1.state.json").write_text("{")
    assert read_card(registry, version, state).drift == ("service scoring: no drift in 70 rows",)


HEAD = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: cards}\nspec:\n"
TRAINED = (
    "  datasets: {rows: {source: rows.csv}}\n  models: {m: {train: {run: python t.py, inputs: [rows]}, card: {%s}}}\n"
)


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ("groups: [a, b, a]", "'a' is named twice"),
        ("explain: nothing.csv", "no dataset 'nothing.csv'"),
        ("purpose: ''", "the text is empty"),
        ("licence: 5", "licence"),
        ("limit: [a]", "limit"),
    ],
)
def test_a_card_in_the_file_that_says_nothing_right_is_refused_with_its_place(
    tmp_path: Path, card: str, said: str
) -> None:
    (tmp_path / "rows.csv").write_text("a\n1\n")
    (tmp_path / "t.py").write_text("")
    (tmp_path / "plimsoll.yaml").write_text(HEAD + TRAINED % card)
    with pytest.raises(FileError) as refused:
        KINDS.check(KINDS.load(tmp_path / "plimsoll.yaml"))
    assert said in str(refused.value)
    assert "plimsoll.yaml:6:" in refused.value.where


@pytest.mark.parametrize("word", ["licence: MIT", "groups: [a]"])
def test_a_brought_model_says_licence_and_figures_elsewhere(tmp_path: Path, word: str) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    (tmp_path / "plimsoll.yaml").write_text(f"{HEAD}  models: {{m: {{source: m.onnx, card: {{{word}}}}}}}\n")
    with pytest.raises(FileError, match=word.partition(":")[0]):
        KINDS.check(KINDS.load(tmp_path / "plimsoll.yaml"))
