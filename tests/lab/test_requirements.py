"""Where the lab cannot run, it prints what is missing in a line or two, and never a traceback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab import requirements
from lab.addons import catalogue
from tests.lab.kubernetes.test_run import ADDONS

ROOT = Path(__file__).parents[2]
NOBODY = 65534
RUN = "import runpy, sys; sys.argv = ['lab', *sys.argv[1:]]; runpy.run_module('lab', run_name='__main__')"


def lab(*words: str, first: str = "", around: tuple[str, ...] = (), **environment: str) -> str:
    """The standard error of a command that must fail. The code `first` runs in its process before it."""
    command = [*around, sys.executable, "-c", f"{first}\n{RUN}", *words]
    settings = {**os.environ, "PLIMSOLL_LAB_NAME": "nobodys-lab", **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=settings, check=False, timeout=50)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not done.stdout
    return done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["up", "scale"])
def test_without_root_it_asks_for_root_and_for_nothing_that_is_there(command: str) -> None:
    # The imports come first, as the user nobody may not be able to read the interpreter's folder.
    drop = f"import os, lab.cli.main\nif os.geteuid() == 0: os.setuid({NOBODY})"
    said = lab(command, first=drop, PATH="/usr/bin:/bin")
    assert "  - root, for namespaces, mounts and cgroups: run the lab as root\n" in said
    assert ("apt-get install" in said) == bool(requirements.missing_packages())


def test_without_root_nothing_is_taken_down() -> None:
    drop = f"import os, lab.cli.main\nif os.geteuid() == 0: os.setuid({NOBODY})"
    assert lab("down", first=drop) == "lab: only root can remove the lab: run 'down' as root\n"


def test_on_another_system_it_asks_for_linux() -> None:
    other = "import sys; sys.platform = 'win32'; sys.modules['fcntl'] = None"
    assert lab("up", first=other).startswith("lab: the lab needs Linux for ")


def test_without_its_packages_it_says_which_and_what_brings_them() -> None:
    said = lab("up", first="import sys; sys.modules['click'] = None")
    assert said.startswith("lab: ")
    assert " has no package 'click'; " in said
    assert "scripts/setup test" in said


def test_without_go_it_asks_for_go_and_says_what_brings_it(tmp_path: Path) -> None:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if os.geteuid() != 0:
        pytest.skip("to hide Go takes a mount, which takes root")
    hide = f'mount --bind /dev/null {Path(go).resolve()} && exec "$@"' if go else 'exec "$@"'
    said = lab("up", around=("unshare", "--mount", "sh", "-c", hide, "sh"), XDG_CACHE_HOME=str(tmp_path))
    assert "  - Go 1.26 or newer, to build Kubernetes from source: go.dev/doc/install, or 'python -m lab build'" in said
    assert "root" not in said


def test_make_lab_brings_every_add_on_that_a_run_on_the_lab_uses() -> None:
    (started,) = re.findall(r"-m lab up .*--with (\S+)", (ROOT / "Makefile").read_text())
    assert set(ADDONS) <= set(started.split(",")) <= set(catalogue.ADDONS)
