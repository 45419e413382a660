from __future__ import annotations

import os
from pathlib import Path

import pytest

from plimsoll.application.code import DIRECTORY_LIMIT, code_files, files_matching

FILES = {
    "train.py": "import helpers\n",
    "helpers.py": "",
    "unrelated.py": "",
    "p.yaml": "",
    "conf/base.yaml": "",
    "conf/deep/more.yaml": "",
    "sub/train_sub.py": "import near\n",
    "sub/near.py": "",
    "sub/s.yaml": "",
    "src/pkg/__init__.py": "",
    "src/pkg/tr.py": "from pkg import layers\n",
    "src/pkg/layers.py": "",
    "lib/other/mod.py": "",
    "tools/go.sh": "#!/bin/sh\r\n# don't stop\r\ncd sub\r\npython train_sub.py --config s.yaml\r\n",
    "start": "#!/usr/bin/env python3\nimport helpers\n",
    "Makefile": "all:\n\tpython train.py\n",
    "out/log.txt": "",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode())
    return tmp_path


def names(command: str, here: Path) -> set[str]:
    return {os.path.relpath(path, here) for path in code_files(command, here).files}


TRAIN = {"train.py", "helpers.py"}
MODULE = {"src/pkg/__init__.py", "src/pkg/tr.py", "src/pkg/layers.py"}
SUB = {"sub/train_sub.py", "sub/near.py"}


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("python train.py", TRAIN),
        ("python train.py --config p.yaml", TRAIN | {"p.yaml"}),
        ("python train.py --config=p.yaml", TRAIN | {"p.yaml"}),
        ("python train.py -cp.yaml", TRAIN | {"p.yaml"}),
        ("python train.py config=p.yaml,conf/base.yaml", TRAIN | {"p.yaml", "conf/base.yaml"}),
        ("python train.py @p.yaml", TRAIN | {"p.yaml"}),
        ("python train.py --config-dir conf", TRAIN | {"conf/base.yaml", "conf/deep/more.yaml"}),
        ("python train.py --config-dir=./conf/", TRAIN | {"conf/base.yaml", "conf/deep/more.yaml"}),
        ("python train.py conf/*.yaml", TRAIN | {"conf/base.yaml"}),
        ("python train.py conf/$KIND.yaml", TRAIN | {"conf/base.yaml", "conf/deep/more.yaml"}),
        ("CONF=p.yaml python train.py", TRAIN | {"p.yaml"}),
        ("python train.py < p.yaml > unrelated.py", TRAIN | {"p.yaml"}),
        ("cat `ls p.yaml` $(ls train.py)", TRAIN | {"p.yaml"}),
        ("PYTHONPATH=src python -m pkg.tr", MODULE),
        ("python -m pkg.tr", MODULE),
        ("python -mpkg.tr", MODULE),
        ("env PYTHONPATH=src:lib python -m other.mod", {"lib/other/mod.py"}),
        ("export PYTHONPATH=lib; python -m other.mod", {"lib/other/mod.py"}),
        ("cd lib && python -m other.mod", {"lib/other/mod.py"}),
        ("uvicorn pkg.tr:app", MODULE),
        ('PYTHONPATH="$PWD/lib" python -m other.mod', {"lib/other/mod.py"}),
        ("for file in conf/*.yaml; do python train.py $file; done", TRAIN | {"conf/base.yaml"}),
        ("cd sub && python train_sub.py --config=s.yaml", SUB | {"sub/s.yaml"}),
        ("cd lib/.. && cd sub; python train_sub.py", SUB),
        ("bash -c 'cd sub && python train_sub.py'", SUB),
        ("uv run --directory sub train_sub.py", SUB),
        ("sh tools/go.sh", SUB | {"tools/go.sh", "sub/s.yaml"}),
        ("./start", {"start", "helpers.py"}),
        ("make all", TRAIN | {"Makefile"}),
        ("python -c 'import helpers'", {"helpers.py"}),
        ("python - <<EOF\nfrom pkg import tr\nEOF", MODULE),
        ("python train.py --out out --log-dir=out && mkdir -p out", TRAIN),
        ("python train.py . .. / * 'SELECT * FROM x'", TRAIN),
        ("python train.py 'it is not closed p.yaml", TRAIN | {"p.yaml"}),
        ("python {here}/train.py", TRAIN),
        ("python train.py " + "x" * 5000, TRAIN),
    ],
)
def test_the_files_of_a_command_are_found(here: Path, command: str, found: set[str]) -> None:
    assert names(command.replace("{here}", str(here)), here) == found


def test_a_module_on_the_callers_python_path_is_found(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"/elsewhere:{here / 'lib'}")
    assert names("python -m other.mod", here) == {"lib/other/mod.py"}


def test_directories_behind_links_count(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "x.yaml").write_text("")
    (outside / "round").symlink_to(outside)
    (here / "conf" / "linked").symlink_to(outside)
    assert "conf/linked/x.yaml" in names("python train.py --config-dir conf", here)
    assert here / "conf" / "linked" / "x.yaml" in files_matching("conf", here)


@pytest.mark.parametrize(
    ("command", "noted"),
    [
        ("python train.py", False),
        ("cat $PLIMSOLL_INPUT_D/f | sort > $PLIMSOLL_OUTPUT/o", False),
        ("python -c 'print(1)' > $PLIMSOLL_OUTPUT/o", False),
        ("python -c 'import json; print(json.dumps(1))' > $PLIMSOLL_OUTPUT/o", False),
        ("bash -c 'trainer --fast'", True),
        ("./start", False),
        ("python -m installed.module", True),
        ("python -m installed.module --config p.yaml", True),
        ("python /elsewhere/train.py", True),
        ("trainer --fast", True),
        ("time env X=1 trainer", True),
        ("for x in 1 2; do trainer $x; done", True),
        ("if [ -f p.yaml ]; then cat p.yaml; fi", False),
        ("(cd sub; cat s.yaml) | sort > $PLIMSOLL_OUTPUT/o", False),
        ("cd sub && trainer --config s.yaml", True),
    ],
)
def test_a_command_without_code_that_is_found_is_noted(here: Path, command: str, noted: bool) -> None:
    (here / "start").chmod(0o755)
    assert bool(code_files(command, here).note) is noted


def test_a_directory_with_too_many_files_is_noted(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plimsoll.application.code.DIRECTORY_LIMIT", 1)
    found = code_files("python train.py --data conf", here)
    assert [path.name for path in found.files] == ["helpers.py", "train.py"]
    assert found.note.startswith("conf has more than 1 files")
    assert DIRECTORY_LIMIT > 1
