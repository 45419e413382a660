"""The command line with streams, names and users as daemons and containers have them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from plimsoll.cli import main
from plimsoll.cli.progress import ProgressPrinter
from plimsoll.engine.application_run import ApplicationRun
from plimsoll.engine.preparation import prepare
from plimsoll.engine.run_status import run_status
from plimsoll.errors import FileError, TargetError
from plimsoll.evidence.run_events import StepStarted, run_observed
from plimsoll.home import cache_home, config_home
from plimsoll.signing.keys import KeyRing
from plimsoll.state.directory import StateDirectory

HEAD = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: t}\nspec:\n"
STRANGE = os.fsdecode(b"caf\xe9")


def write(directory: Path, spec: str) -> Path:
    file = directory / "plimsoll.yaml"
    file.write_text(HEAD + spec)
    return file


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-"])
def test_a_run_with_closed_streams_is_a_run_and_no_file_becomes_a_stream(tmp_path: Path, closed: str) -> None:
    write(tmp_path, "  datasets: {o: {run: 'echo said; echo 1 > $PLIMSOLL_OUTPUT/o', outputs: [o]}}\n")
    ended = subprocess.run(["sh", "-c", f"exec {sys.executable} -m plimsoll run {closed}"], cwd=tmp_path, check=False)
    state = StateDirectory(tmp_path)
    run = run_status(state)
    assert (ended.returncode, run.state) == (0, "done")
    assert (state.logs(run.run) / "run" / "o" / "1-0.log").read_text() == "said\n"
    assert [json.loads(line)["source"] for line in state.journal(run.run).read_text().splitlines()]


def test_a_run_whose_reader_has_gone_goes_on_and_its_status_is_that_of_the_run(tmp_path: Path) -> None:
    write(tmp_path, "  datasets: {o: {run: 'echo 1 > $PLIMSOLL_OUTPUT/o; exit 3', outputs: [o]}}\n")
    read, written = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [sys.executable, "-m", "plimsoll", "run"], cwd=tmp_path, stdout=written, stderr=subprocess.PIPE, check=False
    )
    os.close(written)
    assert (ended.returncode, ended.stderr) == (1, b"")
    assert "exit status 3" in run_status(StateDirectory(tmp_path)).step("run/o").reason


def test_a_full_disk_behind_standard_output_is_one_error(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "plimsoll", "schema"], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (ended.returncode, ended.stderr) == (1, b"error: No space left on device\n")


def test_progress_that_cannot_be_printed_stops_nothing(tmp_path: Path) -> None:
    tried = []

    def gone(text: str) -> None:
        tried.append(text)
        raise BrokenPipeError

    progress = ProgressPrinter(gone, tmp_path)
    for _ in range(3):
        progress(run_observed("engine", "run/o", StepStarted(key="k")))
    progress.close()
    assert len(tried) == 1


def test_an_application_below_a_name_that_is_not_utf8_is_refused_by_that_name(tmp_path: Path) -> None:
    (tmp_path / STRANGE).mkdir()
    with pytest.raises(FileError) as caught:
        prepare(write(tmp_path / STRANGE, "  datasets: {d: {source: d.csv}}\n"))
    assert caught.value.where == f"{tmp_path}/caf\\xe9/plimsoll.yaml"


def test_a_source_may_have_names_that_are_not_utf8_and_changes_below_them_count(tmp_path: Path) -> None:
    (tmp_path / "data" / STRANGE).mkdir(parents=True)
    (tmp_path / "data" / STRANGE / STRANGE).write_text("one")
    file = write(
        tmp_path,
        "  datasets: {d: {source: data}, o: {run: 'cat $PLIMSOLL_INPUT_D/*/* > $PLIMSOLL_OUTPUT/o', "
        "inputs: [d], outputs: [o]}}\n",
    )
    for content in ("one", "other"):
        (tmp_path / "data" / STRANGE / STRANGE).write_text(content)
        prepared = prepare(file)
        assert ApplicationRun(prepared).carry_out().state == "done"
        assert (prepared.state.output(prepared.plan.step("run/o").key) / "o").read_text() == content


def test_an_output_whose_name_is_not_utf8_is_noted_and_loses_nothing_else(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "  datasets: {o: {run: 'cd $PLIMSOLL_OUTPUT; echo 1 > o; touch $(printf \"caf\\351\")', outputs: [o]}}\n",
    )
    step = ApplicationRun(prepare(file)).carry_out().step("run/o")
    assert (step.state, [each.name for each in step.result.outputs]) == ("done", ["o"])
    assert step.result.notes == ("'caf\\xe9' is not part of the result: its name is not UTF-8",)
    assert ApplicationRun(prepare(file)).carry_out().step("run/o").cached


def test_text_that_is_not_utf8_anywhere_else_is_an_error_that_shows_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def strange(**_: object) -> None:
        STRANGE.encode()

    monkeypatch.setattr(main.plimsoll, "main", strange)
    with pytest.raises(SystemExit):
        main.main()
    told = capfd.readouterr().err
    assert told.startswith("error: a name has bytes that are not UTF-8: caf\\udce9\n")


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_a_model_is_not_trained_and_the_variables_are_named(tmp_path: Path) -> None:
    file = write(tmp_path, "  models: {m: {train: {run: 'touch began'}}}\n")
    with pytest.raises(TargetError) as caught:
        ApplicationRun(prepare(file)).carry_out()
    assert "HOME" in str(caught.value)
    assert "XDG_CONFIG_HOME" in caught.value.hint
    assert not (tmp_path / "began").exists()


@pytest.mark.usefixtures("homeless")
def test_without_a_home_the_xdg_variables_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert (config_home(), cache_home()) == (tmp_path / "config", tmp_path / "cache")
    KeyRing.default().require_usable()


def test_a_directory_in_which_no_key_can_be_made_is_noticed_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("in the way")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with pytest.raises(TargetError, match="the signing key cannot be used"):
        ApplicationRun(prepare(write(tmp_path, "  models: {m: {train: {run: 'touch began'}}}\n"))).carry_out()
    assert not (tmp_path / "began").exists()
