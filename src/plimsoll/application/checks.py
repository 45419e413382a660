"""What a file means: references, rings, sums, paths, and what this version cannot run. Every finding is a FileError."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, NoReturn

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.model import Dataset, WeightedModel
from plimsoll.application.scalars import environment_name
from plimsoll.application.shape import near
from plimsoll.errors import FileError

REMOTE = ("https://", "http://", "s3://", "gs://")
TABLES = (".csv", ".parquet")


def check(file: ApplicationFile, target: str = "local") -> None:
    """Raise FileError for the first thing in the file that cannot be meant, or that this version cannot run."""
    for look in (_runnable_parts, _datasets, _models, _services, _batches, _environment, _rings):
        look(file, target)


def _runnable_parts(file: ApplicationFile, target: str) -> None:
    """Parts and settings of the design that this version does not carry out: refused, never passed over in silence."""
    spec = file.application.spec
    for room in ("indexes", "assistants", "edges", "targets"):
        for name in getattr(spec, room):
            _cannot(file, f"{room} such as '{name}'", "remove the part", "spec", room, name, key=True)
    parts: dict[str, Mapping[str, Any]] = {
        "datasets": spec.datasets,
        "services": spec.services,
        "batches": spec.batches,
    }
    for room, named in parts.items():
        for name, part in named.items():
            _target(file, part.target, target, "spec", room, name, "target")
    for name, model in spec.models.items():
        _target(file, model.train.target, target, "spec", "models", name, "train", "target")
        if model.train.framework == "mpi" and target != "local":
            hint = "use torch, jax or none: MPI's launcher needs a way to log in to the other workers"
            _wrong(file, "this version cannot run framework mpi on a cluster", hint, *_framework(name))
    _service_settings(file)


def _service_settings(file: ApplicationFile) -> None:
    for name, service in file.application.spec.services.items():
        if service.scale is not None and service.scale.min > service.scale.max:
            _wrong(file, "scale.min is more than scale.max", "", "spec", "services", name, "scale", "min")


def _framework(model: str) -> tuple[str, ...]:
    return ("spec", "models", model, "train", "framework")


def _datasets(file: ApplicationFile, _: str) -> None:
    names = file.application.spec.datasets
    _one_variable_each(file, names, "spec", "datasets")
    for name, part in names.items():
        at = ("spec", "datasets", name)
        if (part.source is None) == (part.run is None):
            both = "both `source` and `run`" if part.source else "neither `source` nor `run`"
            _wrong(file, f"dataset '{name}' has {both}", "a dataset is one of the two", *at, key=True)
        if part.source is not None:
            _source(file, name, part, part.source)
            continue
        if part.sha256 is not None:
            _wrong(file, "`sha256` is for a `source`", "remove it: steps are keyed by content", *at, "sha256", key=True)
        if not part.outputs:
            _wrong(file, f"dataset '{name}' lacks `outputs`", "name the files that the command leaves", *at, key=True)
        for number, output in enumerate(part.outputs):
            _relative(file, output, *at, "outputs", number)
        _inputs(file, part.inputs, *at, "inputs")


def _source(file: ApplicationFile, name: str, part: Dataset, source: str) -> None:
    at = ("spec", "datasets", name)
    for setting in ("inputs", "outputs", "code"):
        if getattr(part, setting):
            _wrong(file, f"`{setting}` is for a dataset with `run`", "remove it", *at, setting, key=True)
    if source.startswith(REMOTE):
        return
    if "://" in source:
        hint = f"use a path or one of {', '.join(REMOTE)}"
        _cannot(file, f"a source such as {source.partition('://')[0]}://", hint, *at, "source")
    path = file.directory / source
    problem = _unreadable(path)
    if problem:
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        close = near(path.name, siblings) if siblings else ""
        hint = close if close.startswith("did") else "paths are relative to the application file"
        _wrong(file, f"the source {source} {problem}", hint, *at, "source")


def _models(file: ApplicationFile, _: str) -> None:
    for name, model in file.application.spec.models.items():
        at = ("spec", "models", name, "train")
        _inputs(file, model.train.inputs, *at, "inputs")
        topology = model.train.topology
        if topology and (topology.spread is None) == (topology.pack is None):
            _wrong(file, "topology is one of `spread` and `pack`", "", *at, "topology")


def _services(file: ApplicationFile, _: str) -> None:
    for name, service in file.application.spec.services.items():
        at = ("spec", "services", name, "model")
        if service.drift is not None:
            reference = service.drift.reference
            _table(file, reference, "drift is judged against", "spec", "services", name, "drift", "reference")
        if isinstance(service.model, str):
            _model(file, service.model, *at)
        else:
            _shares(file, service.model, *at)


def _shares(file: ApplicationFile, shares: tuple[WeightedModel, ...], *at: str | int) -> None:
    for number, share in enumerate(shares):
        _model(file, share.model, *at, number, "model")
    total = sum(share.weight for share in shares)
    if total != 100:
        _wrong(file, f"the weights sum to {total}", "they are per cent of the traffic and must sum to 100", *at)
    first = shares[0].model.partition("@")[0]
    for number, share in enumerate(shares):
        if share.model.partition("@")[0] != first:
            hint = f"a service answers under one model's name; make another service, or name a version of {first}"
            _wrong(file, f"'{share.model}' is another model than '{first}'", hint, *at, number, "model")
        if share.model in [other.model for other in shares[:number]]:
            _wrong(file, f"'{share.model}' is named twice", "give it one share", *at, number, "model")


def _batches(file: ApplicationFile, _: str) -> None:
    for name, batch in file.application.spec.batches.items():
        at = ("spec", "batches", name)
        _model(file, batch.model, *at, "model")
        _table(file, batch.input, "a batch scores", *at, "input")


def _table(file: ApplicationFile, reference: str, use: str, *at: str | int) -> None:
    """One file of a dataset that is a table."""
    _inputs(file, (reference,), *at, single=True)
    source = file.application.spec.datasets[reference.partition("/")[0]].source
    if not (reference if "/" in reference else source or "").endswith(TABLES):
        hint = "name a .csv or .parquet file, such as features/live.parquet"
        _wrong(file, f"{use} one table, '{reference}' is none", hint, *at)


def _environment(file: ApplicationFile, target: str) -> None:
    environment = file.application.spec.environment
    if environment.image is not None and target == "local":
        hint = "use `requirements`, or neither for your own python"
        _cannot(file, "containers", hint, "spec", "environment", "image", key=True)
    if environment.requirements is not None:
        problem = _unreadable(file.directory / environment.requirements)
        if problem:
            text = f"the requirements file {environment.requirements} {problem}"
            _wrong(file, text, "paths are relative to the application file", "spec", "environment", "requirements")


def _rings(file: ApplicationFile, _: str) -> None:
    """Datasets that are made from themselves."""
    datasets = file.application.spec.datasets
    settled: set[str] = set()

    def follow(name: str, behind: tuple[str, ...]) -> None:
        if name in behind:
            ring = " → ".join((*behind[behind.index(name) :], name))
            text = f"these datasets are made from each other: {ring}"
            _wrong(file, text, "one of them must not need the others", "spec", "datasets", name, "inputs")
        if name not in settled:
            for reference in datasets[name].inputs:
                follow(reference.partition("/")[0], (*behind, name))
            settled.add(name)

    for name in datasets:
        follow(name, ())


def _inputs(file: ApplicationFile, references: Iterable[str], *at: str | int, single: bool = False) -> None:
    datasets = file.application.spec.datasets
    variables: dict[str, str] = {}
    for number, reference in enumerate(references):
        here = at if single else (*at, number)
        name, _, inner = reference.partition("/")
        if name not in datasets:
            _wrong(file, f"there is no dataset '{name}'", near(name, datasets), *here)
        outputs = datasets[name].outputs
        if inner and outputs and inner not in outputs:
            _wrong(file, f"'{inner}' is not among the outputs of '{name}'", near(inner, outputs), *here)
        variable = f"PLIMSOLL_INPUT_{environment_name(name)}"
        if variable in variables:
            text = f"'{variables[variable]}' and '{reference}' would both be seen as {variable}"
            _wrong(file, text, f"take the whole dataset: inputs: [{name}]", *here)
        variables[variable] = reference


def _model(file: ApplicationFile, reference: str, *at: str | int) -> None:
    models = file.application.spec.models
    name = reference.partition("@")[0]
    if name not in models:
        _wrong(file, f"there is no model '{name}'", near(name, models), *at)


def _one_variable_each(file: ApplicationFile, names: Mapping[str, object], *at: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        variable = environment_name(name)
        if variable in seen:
            text = f"'{name}' and '{seen[variable]}' would both be seen as PLIMSOLL_INPUT_{variable}"
            _wrong(file, text, "rename one of them", *at, name, key=True)
        seen[variable] = name


def _relative(file: ApplicationFile, output: str, *at: str | int) -> None:
    path = PurePosixPath(output)
    if path.is_absolute() or ".." in path.parts or output in {"", "."}:
        _wrong(file, f"the output '{output}' is not below $PLIMSOLL_OUTPUT", "name it relative, without '..'", *at)


def _target(file: ApplicationFile, wanted: str | None, target: str, *at: str) -> None:
    if wanted is not None and wanted != target:
        _cannot(file, f"a part on the target '{wanted}'", f"remove it, or say target: {target}", *at)


def _unreadable(path: os.PathLike[str]) -> str:
    """Why a path cannot be read; empty when it can."""
    if not os.path.exists(path):  # noqa: PTH110 - takes any path
        return "does not exist"
    return "" if os.access(path, os.R_OK) else "may not be read by you"


def _cannot(file: ApplicationFile, what: str, hint: str, *at: str | int, key: bool = False) -> NoReturn:
    _wrong(file, f"this version cannot run {what} on this machine", hint, *at, key=key)


def _wrong(file: ApplicationFile, message: str, hint: str, *at: str | int, key: bool = False) -> NoReturn:
    where: Callable[..., str] = file.places.where_key if key else file.places.where
    raise FileError(message, where=where(*at), hint=hint)
