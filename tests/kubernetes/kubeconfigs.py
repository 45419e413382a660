"""Kubeconfigs that tests write, and what is wrong with them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from plimsoll.kubernetes.kubeconfig import Access, named

CLUSTER = {"server": "https://one.example:6443"}
ALL: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "preferences": {"colors": True},
    "clusters": [{"name": "c", "cluster": CLUSTER}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
}


class Files:
    """Kubeconfigs by their names, all of which KUBECONFIG names in order."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self._monkeypatch = monkeypatch

    def have(self, **content: Any) -> None:
        for name, each in content.items():
            path = self.directory / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(each if isinstance(each, str) else json.dumps(each))
        self.list(*content)

    def list(self, *names: str) -> None:
        paths = [str(self.directory / name.replace("__", "/")) for name in names]
        self._monkeypatch.setenv("KUBECONFIG", os.pathsep.join(paths))

    def with_user(self, **user: Any) -> Access:
        self.have(one={**ALL, "users": [{"name": "u", "user": user}]})
        return named("x")

    def with_cluster(self, **cluster: Any) -> Access:
        self.have(one={**ALL, "clusters": [{"name": "c", "cluster": cluster}]})
        return named("x")
