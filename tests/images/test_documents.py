"""Documents of images that others have made."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from plimsoll.errors import TargetError
from plimsoll.images.base import find_base
from plimsoll.images.image import compose
from plimsoll.images.layers import LayerStore

LAYER = {"mediaType": "a/b", "digest": "sha256:" + "0" * 64, "size": 1}


def layout(directory: Path, *, config: Any, manifest: Any, index: Any) -> str:
    """An image layout of three documents, each of which names the one before it; `None` in one is their descriptor."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    below = None
    for name, document in (("config", config), ("manifest", manifest), ("index", index)):
        content = json.dumps(filled(document, below)).encode()
        digest = hashlib.sha256(content).hexdigest()
        below = {"mediaType": "a/b", "digest": f"sha256:{digest}", "size": len(content)}
        (directory / "index.json" if name == "index" else blobs / digest).write_bytes(content)
    return f"oci:{directory}"


def filled(document: Any, descriptor: Any) -> Any:
    if isinstance(document, dict):
        return {key: filled(value, descriptor) for key, value in document.items()}
    if isinstance(document, list):
        return [filled(value, descriptor) for value in document]
    return descriptor if document is None else document


GOOD: dict[str, Any] = {
    "config": {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": ["sha256:1"]}, "history": [{}]},
    "manifest": {"config": None, "layers": [LAYER]},
    "index": {"manifests": [None]},
}


def test_an_image_in_a_layout_is_a_base(tmp_path: Path) -> None:
    base = find_base(layout(tmp_path, **GOOD), LayerStore(tmp_path / "layers"), architecture="amd64")

    image = compose(base, [], environment={"A": "b"}, labels={"a": "b"})

    assert json.loads(image.config)["config"]["Env"] == ["A=b"]
    assert [layer.descriptor.digest for layer in base.layers] == [LAYER["digest"]]


@pytest.mark.parametrize(
    "changed",
    [
        {"index": []},
        {"index": {"manifests": 7}},
        {"index": {"manifests": ["x"]}},
        {"index": {"manifests": [{"mediaType": "a/b", "digest": "sha256:../../config", "size": 1}]}},
        {"manifest": {"config": 7, "layers": [LAYER]}},
        {"manifest": {"layers": [LAYER]}},
        {"manifest": {"config": None, "layers": {}}},
        {"manifest": {"config": None, "layers": [{**LAYER, "digest": "sha256:../../../etc/passwd"}]}},
        {"manifest": {"manifests": [[]]}},
        {"config": {"rootfs": "x"}},
        {"config": {"rootfs": {"diff_ids": [1]}}},
        {"config": {**GOOD["config"], "config": {"Env": "A=b"}}},
        {"config": {**GOOD["config"], "config": {"Labels": ["a"]}}},
        {"config": {**GOOD["config"], "history": "x"}},
        {"config": "x"},
    ],
)
def test_an_image_whose_documents_have_another_shape_is_refused_by_its_name(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    name = layout(tmp_path, **{**GOOD, **changed})

    with pytest.raises(TargetError, match=r"not an image|no root file system") as refused:
        find_base(name, LayerStore(tmp_path / "layers"), architecture="amd64")
    assert refused.value.where == name
