"""The cluster as its administrator sees it, through the kubectl that was built with it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any

from lab import layout
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.commands import run
from lab.errors import LabError

FIELD_MANAGER = "plimsoll-lab"


def kubectl(*arguments: str, stdin: str | None = None, limit: float = 60.0) -> str:
    """Gives what kubectl prints. Raises LabError with its words."""
    program = folder_of(BY_NAME["kubernetes"]) / "kubectl"
    return run(program, f"--kubeconfig={layout.KUBECONFIG}", *arguments, stdin=stdin, limit=limit)


def apply(manifest: str, limit: float = 60.0) -> None:
    """Server-side apply: the same manifest again changes nothing."""
    options = ("--server-side", "--force-conflicts", f"--field-manager={FIELD_MANAGER}")
    kubectl("apply", *options, "-f", "-", stdin=manifest, limit=limit)


def get(kind: str, name: str = "", *, namespace: str | None = None) -> Any:
    """An object, or a list's items, as decoded JSON."""
    where = ["--all-namespaces"] if namespace == "*" else [f"--namespace={namespace}"] if namespace else []
    found = json.loads(kubectl("get", kind, *([name] if name else []), *where, "--output=json"))
    return found if name else found["items"]


def filled(path: Path, **values: str) -> str:
    """A manifest with its $NAMES replaced. Raises LabError on one that nobody gave."""
    try:
        return Template(path.read_text()).substitute(values)
    except KeyError as missing:
        raise LabError(f"{path} wants ${missing.args[0]}, which nothing gives") from None


def wait(what: str, question: Callable[[], str | None], limit: float) -> None:
    """Asks until `question` gives None. Its last answer, what is still missing, stands in the error after `limit` s."""
    end = time.monotonic() + limit
    while True:
        try:
            answer = question()
        except LabError as error:
            answer = str(error)
        if answer is None:
            return
        if time.monotonic() > end:
            raise LabError(f"{what}: not within {limit:.0f} s; {answer}")
        time.sleep(0.2)


def rolled_out(namespace: str, *names: str, limit: float = 120.0) -> None:
    """Waits for deployments (`deployment/x`), daemon sets or stateful sets to have all their pods ready."""
    for name in names:
        kubectl("rollout", "status", name, f"--namespace={namespace}", f"--timeout={limit:.0f}s", limit=limit + 10)
