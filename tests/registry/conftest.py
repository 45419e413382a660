from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import Lineage, ModelVersion
from plimsoll.signing.keys import KeyRing


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "registry", KeyRing(tmp_path / "keys"))


def register(registry: ModelRegistry, key: str = "k1", content: bytes = b"weights", **settings: object) -> ModelVersion:
    source = registry.layout.root.parent / "trained"
    source.mkdir(exist_ok=True)
    (source / "model.onnx").write_bytes(content)
    (source / "words.txt").write_bytes(b"a b c")
    lineage = Lineage(run="r1", step="train/triage", key=key, data={"orders": "d1"}, code={"train.py": key})
    given: dict[str, object] = {"metrics": {"accuracy": 0.8}, "accept": {}, **settings}
    files = {name: source / name for name in ("model.onnx", "words.txt")}
    return registry.add("triage", files, lineage=lineage, **given)  # type: ignore[arg-type]
