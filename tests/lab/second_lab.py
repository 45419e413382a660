"""A second, light lab beside the one of the tests, driven by its own commands."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.build import cache
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from tests.lab.cluster import run_lab

NAME = "plimsoll-light"
KUBECONFIG = Path("/var/lib") / NAME / "kubeconfig"
_ENVIRONMENT = {**os.environ, "PLIMSOLL_LAB_NAME": NAME}


def light(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A verb of `python -m lab` for the light lab."""
    return run_lab(*arguments, environment=_ENVIRONMENT)


def light_kubectl(*words: str, limit: float = 60) -> subprocess.CompletedProcess[str]:
    """kubectl there; `limit` in seconds is that of its request."""
    command = [str(folder_of(BY_NAME["kubernetes"]) / "kubectl"), f"--request-timeout={limit:.0f}s", *words]
    environment = {**os.environ, "KUBECONFIG": str(KUBECONFIG)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit + 30, check=False)


@contextmanager
def running_light_lab(*addons: str) -> Iterator[None]:
    """The light lab for as long as the context lasts."""
    if not cache.is_built(BY_NAME["kine"]):
        pytest.skip("kine is not built; 'make test-all' builds it")
    made = light("up", "--light", *(("--with", ",".join(addons)) if addons else ()))
    assert made.returncode == 0, made.stderr
    try:
        yield
    finally:
        light("down")
