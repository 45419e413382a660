"""The images that an application needs on a cluster, from its base to its reference by digest.

store = LayerStore.default()
base = find_base("python:3.11-slim", store, directory=file.directory)
image = step_image(store, base, directory=file.directory, code=workspace.code["train/triage"],
                   requirements="requirements.txt", environment_digest=workspace.environment[1])
with Repository(parse("registry.example/shop/steps")) as repository:
    pushed = push_image(image, repository, store)          # nothing is sent when nothing has changed
pod["image"] = str(pushed.reference)                       # registry.example/shop/steps@sha256:…

server = runtime_image(store, base)                        # python -m plimsoll.runtime.server, .pull, .fetch
volume = model_image(models, models.find("triage"), store) # what an image volume mounts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from plimsoll.errors import FileError
from plimsoll.images import dependencies, runtime
from plimsoll.images.base import Base, own_architecture
from plimsoll.images.code import code_layer
from plimsoll.images.dependencies import Python, dependencies_layer
from plimsoll.images.image import Image, compose
from plimsoll.images.layers import Entry, LayerStore
from plimsoll.images.runtime import runtime_layers
from plimsoll.registry.layout import Manifest
from plimsoll.registry.models import ModelRegistry, ModelVersion
from plimsoll.registry.verification import proof_files


def step_image(
    store: LayerStore,
    base: Base,
    *,
    directory: Path,
    code: Sequence[tuple[str, str]],
    requirements: str | None = None,
    environment_digest: str = "",
    environment: Mapping[str, str] | None = None,
) -> Image:
    """A step's code and requirements on a base; its working directory is the application file's.

    `code` are the pairs of `Workspace.code`, `requirements` is a path relative to `directory`, and `environment_digest`
    is `Workspace.environment[1]`. Raises FileError, TargetError.
    """
    layers = []
    variables = dict(environment or {})
    if requirements is not None:
        if not environment_digest:
            raise FileError("requirements come with the digest of what they say", where=requirements)
        layers.append(dependencies_layer(store, directory / requirements, environment_digest, Python.of(base)))
        variables |= {"PATH": f"/{dependencies.PLACE}/bin", "PYTHONPATH": f"/{dependencies.PLACE}"}
    own = code_layer(store, directory, code)
    return compose(base, [*layers, own.layer], environment=variables, workdir=own.workdir)


def runtime_image(store: LayerStore, base: Base, extras: Sequence[str] = ("serve",)) -> Image:
    """Our own side on a base: `python -m plimsoll.runtime.server`, `.pull` and `.fetch`, as nobody.

    `extras` are those of this package; `s3` and `gcs` let `.fetch` read from there. Raises MissingExtra.
    """
    layers = runtime_layers(store, Python.of(base), extras)
    return compose(base, layers, environment={"PYTHONPATH": f"/{runtime.PLACE}"}, workdir="/")


def model_image(models: ModelRegistry, version: ModelVersion, store: LayerStore) -> Image:
    """A model as an image that a volume mounts: its files at the root and, beside them, what they are verified by.

    `python -m plimsoll.runtime.pull --mounted DIR` verifies it where it is mounted. Raises ModelRefused for an altered
    model.
    """
    opened = models.open(version)
    manifest = models.layout.read_digest(version.digest, f"the manifest of {version.reference}")
    config = msgspec.json.decode(manifest, type=Manifest).config
    envelope = models.envelope(version)
    proof = proof_files(manifest, models.layout.read(config, f"the config of {version.reference}"), envelope)
    entries = [Entry(path=name, source=path) for name, path in opened.files.items()]
    entries += [Entry(path=name, content=content) for name, content in proof.items()]
    key = f"model-{version.digest.removeprefix('sha256:')}-{opened.signed_by[:16]}"
    layer = store.find(key) or store.add(key, entries)
    nothing = Base(
        name=f"model:{version.reference}",
        digest=version.digest,
        config={"architecture": own_architecture(), "os": "linux"},
        layers=(),
    )
    return compose(nothing, [layer], labels={"dev.plimsoll.model": version.reference})
