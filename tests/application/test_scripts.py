"""A script that a command starts and that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.application.scripts import missing_script, similar_file


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("")
    (tmp_path / "jobs").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "python trian.py",
        "python3.11 -u -W error trian.py --rounds 3",
        "PYTHONPATH=src python trian.py",
        "env A=1 python trian.py",
        "bash trian.py",
        "./trian.py",
    ],
)
def test_it_is_found_in_simple_commands(directory: Path, command: str) -> None:
    assert missing_script(command, directory) in ("trian.py", "./trian.py")
    assert similar_file("trian.py", directory) == "train.py"


@pytest.mark.parametrize(
    "command",
    [
        "python train.py",
        "python jobs",
        "python -m trian",
        "python -c 'import trian'",
        "bash -c trian.py",
        "cd jobs && python trian.py",
        "python $PLIMSOLL_INPUT_CODE/trian.py",
        "python /opt/trian.py",
        "torchrun trian.py",
        "python - < trian.py",
        "python 'trian.py",
        "python",
        "",
    ],
)
def test_what_cannot_be_told_or_is_there_is_not_missing(directory: Path, command: str) -> None:
    assert missing_script(command, directory) is None
