"""Which namespace an application has on a cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plimsoll.targets.kubernetes.target import KubernetesTarget
from plimsoll.targets.options import TargetOptions


@pytest.mark.parametrize(
    ("asked", "of_the_context", "found"),
    [(None, "", "shop"), (None, "team", "team"), ("asked", "team", "asked"), ("asked", "", "asked")],
)
def test_the_command_line_comes_before_the_context_and_the_context_before_the_applications_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str | None, of_the_context: str, found: str
) -> None:
    context = {"name": "x", "context": {"cluster": "c", "namespace": of_the_context}}
    (tmp_path / "config").write_text(json.dumps({"contexts": [context]}))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    target = KubernetesTarget("x", tmp_path, "shop", TargetOptions(namespace=asked))
    assert target.namespace == found
