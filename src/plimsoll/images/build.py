"""Build the images of an application for a cluster, from the base image to the reference by digest.

store = LayerStore.default()
base = find_base("python:3.11-slim", store, directory=file.directory)
image = step_image(store, base, directory=file.directory, code=workspace.code["train/triage"],
                   requirements="requirements.txt", environment_digest=workspace.environment[1])
with Repository(parse("registry.example/shop/steps")) as repository:
    pushed = push_image(image, repository, store)          # sends only what has changed
pod["image"] = str(pushed.reference)                       # registry.example/shop/steps@sha256:…

server = runtime_image(store, base)                        # python -m plimsoll.runtime.server, .pull, .fetch
volume = model_image(models, models.find("triage"), store) # for an image volume
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from plimsoll.errors import FileError
from plimsoll.images import dependencies, runtime
from plimsoll.images.base import BaseImage, own_architecture
from plimsoll.images.code import code_layer
from plimsoll.images.dependencies import PythonTarget, dependencies_layer
from plimsoll.images.image import Image, compose
from plimsoll.images.layers import LayerEntry, LayerStore
from plimsoll.images.runtime import runtime_layers
from plimsoll.registry.layout import Manifest
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.verification import proof_files
from plimsoll.registry.versions import ModelVersion


def step_image(
    store: LayerStore,
    base: BaseImage,
    *,
    directory: Path,
    code: Sequence[tuple[str, str]],
    requirements: str | None = None,
    environment_digest: str = "",
    environment: Mapping[str, str] | None = None,
) -> Image:
    """Build an image with a step's code and requirements. Commands start in the application file's directory.

    `code` has the pairs of `Workspace.code`, `requirements` is a path relative to `directory`, and `environment_digest`
    is `Workspace.environment[1]`. Raises FileError, TargetError.
    """
    layers = []
    variables = dict(environment or {})
    if requirements is not None:
        if not environment_digest:
            raise FileError("`requirements` is given without `environment_digest`", where=requirements)
        python = PythonTarget.of(base)
        layers.append(dependencies_layer(store, directory / requirements, environment_digest, python, directory))
        variables |= {"PATH": f"/{dependencies.SITE_PACKAGES}/bin", "PYTHONPATH": f"/{dependencies.SITE_PACKAGES}"}
    own = code_layer(store, directory, code)
    return compose(base, [*layers, own.layer], environment=variables, workdir=own.workdir)


def runtime_image(store: LayerStore, base: BaseImage, extras: Sequence[str] = ("serve",)) -> Image:
    """Build an image with our runtime: `python -m plimsoll.runtime.server`, `.pull` and `.fetch`. It runs as nobody.

    `extras` are extras of this package; `s3` and `gcs` let `.fetch` read from these stores. Raises MissingExtra.
    """
    layers = runtime_layers(store, PythonTarget.of(base), extras)
    return compose(base, layers, environment={"PYTHONPATH": f"/{runtime.RUNTIME_DIRECTORY}"}, workdir="/")


def model_image(models: ModelRegistry, version: ModelVersion, store: LayerStore) -> Image:
    """Build an image of a model for an image volume: its files at the root, and the documents that verify them.

    `python -m plimsoll.runtime.pull --mounted DIR` verifies the mounted model. Raises ModelRefused for an altered
    model.
    """
    opened = models.open(version)
    manifest = models.layout.read_digest(version.digest, f"the manifest of {version.reference}")
    config = msgspec.json.decode(manifest, type=Manifest).config
    envelope = models.envelope(version)
    proof = proof_files(manifest, models.layout.read(config, f"the config of {version.reference}"), envelope)
    entries = [LayerEntry(path=name, source=path) for name, path in opened.files.items()]
    entries += [LayerEntry(path=name, content=content) for name, content in proof.items()]
    key = f"model-{version.digest.removeprefix('sha256:')}-{opened.signed_by[:16]}"
    layer = store.find(key) or store.add(key, entries)
    empty = BaseImage(
        name=f"model:{version.reference}",
        digest=version.digest,
        config={"architecture": own_architecture(), "os": "linux"},
        layers=(),
    )
    return compose(empty, [layer], labels={"dev.plimsoll.model": version.reference})
