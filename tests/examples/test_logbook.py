"""The logbook of the maintenance example: what it holds, how past orders vote, and that none knows the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.kinds.table import KINDS

from .scripts import EXAMPLES, load

EXAMPLE = EXAMPLES / "maintenance"
orders, history, voting, similar, figures = load("maintenance", "orders", "history", "voting", "similar", "figures")
HEAD = "BscStartDate,Asset,OriginalShorttext,RunningTime,FuncLocation,Cost,FM,Action\n"


def hit(score: float, booked: str, date: str = "2005-01-01", cause: str = "", remedy: str = "") -> dict[str, Any]:
    told = {"date": date, "asset": "A", "booked": booked, "cause": cause, "remedy": remedy, "cost": "10"}
    return {"score": score, "text": f"{booked} broken", "metadata": told}


def test_the_file_is_right_and_shares_what_the_other_file_trains() -> None:
    logbook, demo = (KINDS.load(EXAMPLE / name) for name in ("logbook.yaml", "plimsoll.yaml"))
    KINDS.check(logbook)
    ours, theirs = logbook.application.parts, demo.application.parts
    for key, name in (("datasets", "orders"), ("datasets", "features"), ("models", "triage")):
        assert ours[key][name] == theirs[key][name]


def test_the_logbook_has_the_oldest_orders_to_the_end_of_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "2004-01-02,A,second,1,PUMP,10,Leak_Unspecified,Replace\n2004-01-01,A,first,1,pump ,10,NA,NA\n"
    rows += (
        "2004-01-02,B,third,1,HOSE,10,NA,CM_Repair\n2004-01-03,B,fourth,1,HOSE,10,NA,NA\n2004-01-03,B,none,1,NA,1,,\n"
    )
    (tmp_path / "orders.csv").write_text(HEAD + rows)
    monkeypatch.setenv("PLIMSOLL_INPUT_ORDERS", str(tmp_path / "orders.csv"))
    monkeypatch.setenv("PLIMSOLL_OUTPUT", str(tmp_path))
    monkeypatch.setenv("PLIMSOLL_PARAM_SHARE", "0.5")
    history.main()
    assert (tmp_path / "logbook.csv").read_text().splitlines() == [
        "id,date,asset,text,booked,cause,remedy,cost",
        "order-00001,2004-01-01,A,first,PUMP,,,10",
        "order-00000,2004-01-02,A,second,PUMP,Leak,Replace,10",
        'order-00002,2004-01-02,B,third,HOSE,,"CM, Repair",10',
    ]
    assert capsys.readouterr().out == "3 of 4 orders, until 2004-01-02\n"
    monkeypatch.setenv("PLIMSOLL_PARAM_SHARE", "1.5")
    with pytest.raises(SystemExit, match=r"share is 1\.5"):
        history.main()


def test_an_order_with_nearly_the_words_of_an_older_one_is_marked() -> None:
    rows: list[dict[str, Any]] = [{"text": "replace lh bucket cylinder"}, {"text": "replace rh track"}, {"text": "..."}]
    orders.mark_again(rows, [{"text": "Cylinder, bucket LH: replace"}, {"text": "replace pump"}])
    assert [row["again"] for row in rows] == [1, 0, 0]


def test_nearer_orders_count_more_and_equal_shares_come_in_the_order_of_the_alphabet() -> None:
    hits = [hit(0.9, "PUMP"), hit(0.6, "HOSE"), hit(0.6, "HOSE")]
    assert voting.ranked(voting.vote(hits, 3, 0, voting.booked)) == ["HOSE", "PUMP"]
    assert voting.ranked(voting.vote(hits, 3, 4, voting.booked)) == ["PUMP", "HOSE"]
    assert voting.ranked(voting.vote(hits[:2], 2, 0, voting.booked)) == ["HOSE", "PUMP"]
    assert voting.vote([], 3, 1, voting.booked) == {}


def test_a_booking_that_is_no_class_is_other_and_an_empty_tag_has_no_vote() -> None:
    hits = [hit(1.0, "PUMP", cause="Leak, Noise"), hit(1.0, "DOOR")]
    assert voting.vote(hits, 2, 1, voting.classed({"PUMP", "OTHER"})) == {"PUMP": 0.5, "OTHER": 0.5}
    assert voting.vote(hits, 2, 1, voting.tagged("cause")) == {"Leak": 0.5, "Noise": 0.5}


def test_the_settings_are_those_by_which_most_orders_get_their_class() -> None:
    found = [[hit(0.9, "PUMP"), hit(0.8, "HOSE"), hit(0.8, "HOSE")]] * 3
    nearest, power = voting.choose(found, ["HOSE"] * 3, voting.booked)
    assert nearest >= 3
    assert voting.ranked(voting.vote(found[0], nearest, power, voting.booked))[0] == "HOSE"


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.sampled_from("abc")), max_size=8),
    st.integers(1, 8),
    st.sampled_from(voting.POWERS),
)
def test_shares_add_up_to_one(votes: list[tuple[float, str]], nearest: int, power: float) -> None:
    shares = voting.vote([hit(score, value) for score, value in votes], nearest, power, voting.booked)
    assert all(share >= 0 for share in shares.values())
    assert not votes or sum(shares.values()) == pytest.approx(1)


def test_a_logbook_that_knows_the_answers_has_no_figures() -> None:
    figures.require_older(["2004-01-01"], "2004-01-02")
    with pytest.raises(SystemExit, match="it knows the answers"):
        figures.require_older(["2004-01-01", "2004-01-02"], "2004-01-02")


def write_steps(steps: Path) -> None:
    """What the run has made, for two orders that settings are chosen by and two that are judged."""
    for name, text in {
        "run/history/logbook.csv": "id,date,booked,cause,remedy\na,2003-01-01,PUMP,Leak,Replace\nb,2003-01-02,HOSE,,Repair\n",
        "run/judged/orders.csv": "id,date,part,written,class,again,cause,remedy\n"
        "c,2004-01-01,choosing,pump,PUMP,0,,\nd,2004-01-02,choosing,hose,HOSE,0,,\n"
        "g,2004-02-01,gap,hose,HOSE,0,,\n"
        "e,2005-01-01,test,pump again,PUMP,1,Leak,\nf,2005-01-02,test,door,OTHER,0,,Repair\n",
        "run/judged/linear.csv": "id,HOSE,OTHER,PUMP\ng,1,0,0\ne,0.2,0.2,0.6\nf,0.1,0.6,0.3\n",
        "score/tested/predictions.csv": "id,label,probabilities_HOSE,probabilities_OTHER,probabilities_PUMP\n"
        "g,HOSE,1,0,0\ne,HOSE,0.5,0.1,0.4\nf,HOSE,0.6,0.3,0.1\n",
    }.items():
        (steps / name).parent.mkdir(parents=True, exist_ok=True)
        (steps / name).write_text(text)


def test_the_figures_hold_every_way_against_the_same_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_steps(tmp_path)
    modes: list[str] = []

    def search(text: str, top: int, mode: str, url: str) -> list[dict[str, Any]]:
        modes.append(mode)
        pump = hit(0.9 if "pump" in text else 0.1, "PUMP", "2003-01-01", "Leak", "Replace")
        return sorted([pump, hit(0.5, "HOSE", "2003-01-02", "", "Repair")], key=lambda each: -each["score"])

    monkeypatch.setattr(figures, "STEPS", tmp_path)
    monkeypatch.setattr(figures, "search", search)
    monkeypatch.setattr(figures.sys, "argv", ["figures.py", "--output", str(tmp_path / "figures.json")])
    figures.main()
    told = json.loads((tmp_path / "figures.json").read_text())
    assert told["orders"] == 2
    assert {mode: modes.count(mode) for mode in modes} == {"lexical": 4, "dense": 4, "hybrid": 4}
    assert told["class"]["retrieval by words and vectors"]["top-1"] == 0.5
    assert told["class"]["XGBoost on two workers"] == {
        "orders": 2, "top-1": 0.0, "top-3": 1.0, "new orders": 1, "new, top-1": 0.0, "new, top-3": 1.0
    }  # fmt: skip
    assert told["class"]["TF-IDF and logistic regression"]["top-1"] == 1.0
    assert told["cause"]["retrieval by words and vectors"] == {"orders": 1, "top-1": 1.0, "top-3": 1.0}
    assert "| class | orders | top-1 | top-3 | new orders | new, top-1 | new, top-3 |" in capsys.readouterr().out


def test_a_new_order_is_printed_with_its_class_its_cause_and_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [hit(0.9, "PUMP", cause="Leak", remedy="Replace"), hit(0.3, "HOSE", remedy="Repair"), hit(0.01, "CAB")]
    monkeypatch.setattr(similar, "POWER", 1.44)
    monkeypatch.setattr(similar, "search", lambda *_, **__: found)
    monkeypatch.setattr(similar.sys, "argv", ["similar.py", "pump leaks", "--shown", "1"])
    similar.main()
    assert capsys.readouterr().out.splitlines() == [
        "belongs to: PUMP 83%, HOSE 17%",
        "cause:      Leak 100%",
        "remedy:     Replace 83%, Repair 17%",
        "  0.90  2005-01-01  excavator A  PUMP broken",
        "        PUMP · Leak · Replace · 10 AUD",
    ]


def test_a_service_that_is_not_up_and_a_step_that_was_not_run_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=r"Bring the logbook up with: plimsoll up -f logbook\.yaml"):
        similar.search("a leak", 3, url="http://127.0.0.1:9")
    monkeypatch.setattr(figures, "STEPS", tmp_path)
    with pytest.raises(SystemExit, match=r"Make it with: plimsoll run -f logbook\.yaml"):
        figures.read("run/judged/orders.csv")
