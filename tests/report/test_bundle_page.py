"""The page of a bundle: what was asked, what was measured, what the verdict is; small, whole, and of nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from plimsoll.capabilities.bundle_reader import Bundle, open_bundle
from plimsoll.capabilities.checking import Judged
from plimsoll.capabilities.probe import judge
from plimsoll.capabilities.requirements import MUST, profile
from plimsoll.evidence.verdict import Outcome, Verdict, failed, passed
from plimsoll.report.bundle_page import MAX_BYTES, bundle_page
from plimsoll.report.hull import hull
from plimsoll.signing.keys import KeyRing
from tests.capabilities.bundled import bundle_of
from tests.capabilities.recorded import Record, changed, recorded, with_values

from .browser import NEEDS_CHROMIUM, measured
from .test_report import read

STARTED_IN_PART = changed(recorded("gang_scheduling"), "case", with_values(bound=1), case="waits")


def opened(folder: Path, changes: dict[str, Record | None] | None = None) -> Bundle:
    keys = KeyRing(folder / "keys")
    return open_bundle(bundle_of(folder / "bundle", keys, changes=changes), keys)


def words(html: str) -> str:
    return " ".join(" ".join(read(html).text).split())


def test_every_requirement_has_its_level_verdict_figure_and_observations(tmp_path: Path) -> None:
    bundle = opened(tmp_path)
    html = bundle_page(bundle)
    for each in bundle.judged:
        assert f'id="{each.requirement}"' in html
        assert f'href="#{each.requirement}"' in html
    text = words(html)
    assert "All 8 MUSTs were shown" in text
    record = recorded("gang_scheduling")
    assert text.count(judge("gang_scheduling", record).figure) == 2
    assert f"{len(record)} observations" in text
    assert "Job/kueue-filler" in text
    assert "the signature is valid, key" in text


def test_what_was_not_shown_comes_first_with_cause_and_remedy(tmp_path: Path) -> None:
    html = bundle_page(opened(tmp_path, {"gang_scheduling": STARTED_IN_PART, "robust_controller": None}))
    text = words(html)
    assert "2 of 8 MUSTs were not shown" in text
    verdict = judge("gang_scheduling", STARTED_IN_PART)
    assert text.index(verdict.cause) < text.index("The load line")
    assert f"remedy {verdict.remedy}" in text
    assert "there is no record of it" in text


def test_the_page_needs_nothing_from_elsewhere_and_is_small(tmp_path: Path) -> None:
    html = bundle_page(opened(tmp_path))
    assert {link[0] for link in read(html).fetched} == {"#"}
    assert re.findall(r"url\(|@import|<script|<link", html) == []
    assert len(html.encode()) < 300_000


def test_a_long_record_is_shortened_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    first, *rest = recorded("gang_scheduling")
    noise = type(first)(at=first.at, source="check", subject="x", fact={"event": "noise", "log": "<b>&</b>" * 200})
    record = (first, *[noise] * 3000, *rest)
    html = bundle_page(opened(tmp_path, {"gang_scheduling": record}))
    assert len(html.encode()) <= MAX_BYTES
    found = re.search(r"(\d+) more are in the bundle", words(html))
    assert found
    assert int(found[1]) > 2000


def test_what_a_cluster_says_is_text_and_never_markup(tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>'
    record = changed(recorded("gang_scheduling"), "scheduler", with_values(name=evil))
    html = bundle_page(opened(tmp_path, {"gang_scheduling": record}))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    read(html)


def test_a_bundle_that_was_altered_says_so_before_all_else(tmp_path: Path) -> None:
    keys = KeyRing(tmp_path / "keys")
    folder = bundle_of(tmp_path / "bundle", keys)
    (folder / "extra").write_text("x")
    text = words(bundle_page(open_bundle(folder, keys)))
    assert text.index("This bundle failed verification") < text.index("All 8 MUSTs")
    assert "extra: added after the signature" in text
    assert "the signature is valid" not in text


def judged(lacking: int) -> list[Judged]:
    found = []
    for name, level in profile("cncf-1.37").items():
        bad = level == MUST and lacking > 0
        lacking -= bad
        found.append(Judged(requirement=name, level=level, verdict=failed("", "x", "") if bad else passed("y")))
    return found


def water(picture: str) -> float:
    found = re.search(r'class="water" d="M0 (\d+)', picture)
    assert found
    return float(found[1])


def test_the_water_is_below_the_mark_only_when_every_must_was_shown() -> None:
    levels = [water(hull(judged(lacking))) for lacking in range(9)]
    assert levels[0] > 232 > levels[1]
    assert levels == sorted(levels, reverse=True)
    assert 'class="mark clear"' in hull(judged(0))
    assert 'class="mark under"' in hull(judged(1))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_a_sign_and_a_class_of_its_own(outcome: Outcome) -> None:
    one = Judged(requirement="gang_scheduling", level=MUST, verdict=Verdict(outcome=outcome))
    picture = hull([one])
    assert f'class="box {outcome.value} must"' in picture
    read(picture)


def test_json_of_the_verdicts_is_what_the_page_draws(tmp_path: Path) -> None:
    bundle = opened(tmp_path, {"gang_scheduling": STARTED_IN_PART})
    written = msgspec.json.decode((bundle.path / "verdicts.json").read_bytes(), type=list[Judged])
    assert list(bundle.judged) == written


@pytest.mark.slow
@NEEDS_CHROMIUM
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_page_without_overflow(tmp_path: Path, width: int) -> None:
    html = bundle_page(opened(tmp_path, {"gang_scheduling": STARTED_IN_PART}))
    found = measured(tmp_path, html.replace("<details>", "<details open>"), width)
    assert found.wide <= width
