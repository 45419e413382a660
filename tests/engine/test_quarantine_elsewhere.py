"""A service that is on a cluster which nobody has named: the error has the command, and the standby is not forgotten."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from plimsoll.application.loading import ApplicationFile
from plimsoll.engine.quarantine.elsewhere import require_here
from plimsoll.engine.standbys import standby_note
from plimsoll.errors import FileError
from plimsoll.evidence.journal import Journal
from plimsoll.evidence.run_events import PlannedStep, RunPlanned, run_observed
from plimsoll.kinds.table import KINDS
from plimsoll.state.directory import LOCAL, StateDirectory

HEAD = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: shop}
spec:
  models: {m: {train: {run: python train.py}}}
"""
TARGETS = "  targets: {cloud: {context: eks}, onprem: {context: factory}, here: {local: true}}\n"


def file_of(directory: Path, service: str, targets: str = "") -> ApplicationFile:
    path = directory / "plimsoll.yaml"
    path.write_text(f"{HEAD}{targets}  services: {{api: {service}}}\n")
    return KINDS.load(path)


def ran(directory: Path, target: str, *steps: str) -> None:
    """A run on a target has begun with these steps."""
    state = StateDirectory(directory, target)
    state.make()
    run = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    state.journal(run).parent.mkdir(parents=True)
    planned = [PlannedStep(name=name, key="k", needs=()) for name in steps]
    with Journal(state.journal(run)) as journal:
        event = RunPlanned(run=run, application="shop", target=target, number=1, steps=tuple(planned))
        journal.append(run_observed("engine", "run", event))


def test_a_service_that_the_file_has_elsewhere_is_told_with_its_target(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="service 'api' is on cloud, and no target was named") as refused:
        require_here(file_of(tmp_path, "{model: m, target: cloud}", TARGETS), "api")
    assert refused.value.hint == "plimsoll quarantine api --target cloud"


def test_a_service_that_a_run_has_brought_up_on_a_cluster_is_told_with_its_context(tmp_path: Path) -> None:
    context = "arn:aws:eks:eu-1:7:cluster/prod"
    ran(tmp_path, context, "train/m", "serve/api")
    with pytest.raises(FileError) as refused:
        require_here(file_of(tmp_path, "{model: m}"), "api")
    assert refused.value.hint == f"plimsoll quarantine api --target {context}"


@pytest.mark.parametrize("target", [", target: here", ""])
def test_a_service_of_this_machine_is_taken_out_here(tmp_path: Path, target: str) -> None:
    ran(tmp_path, LOCAL, "serve/api")
    ran(tmp_path, "eks", "serve/api")
    require_here(file_of(tmp_path, f"{{model: m{target}}}", TARGETS), "api")


def test_where_no_run_says_so_nothing_is_known_of_clusters(tmp_path: Path) -> None:
    ran(tmp_path, "eks", "train/m")
    require_here(file_of(tmp_path, "{model: m}"), "api")
    shutil.rmtree(tmp_path / ".plimsoll")
    require_here(file_of(tmp_path, "{model: m}"), "api")


def test_what_stands_by_is_named_with_the_command_by_which_it_follows(tmp_path: Path) -> None:
    over = file_of(tmp_path, "{model: m, target: cloud, failover: {to: onprem}}", TARGETS)
    note = standby_note(over, "api", "quarantine {service} --target {target} --version m@2")
    assert note.startswith("api-standby, which stands by on onprem, is as it was")
    assert note.endswith("plimsoll quarantine api-standby --target onprem --version m@2")
    with pytest.raises(FileError) as refused:
        require_here(over, "api-standby")
    assert refused.value.hint == "plimsoll quarantine api-standby --target onprem"
    assert not standby_note(file_of(tmp_path, "{model: m}"), "api", "rollback {service}")
