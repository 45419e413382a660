"""Manifests from upstream's Go modules, with the lab's images in place of upstream's."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lab import documents
from lab.build import cache
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.build.folders import cache_folder
from lab.build.go import go_program
from lab.commands import run
from lab.documents import parse
from lab.errors import LabError
from lab.files import write

Manifest = documents.Manifest
Finish = Callable[[], None]


def source_folder(component: str) -> Path:
    """The folder of the sources of a component's module, downloaded if they are missing. Raises LabError."""
    known = _cache_file(component, ["folder"])
    if known.exists() and (path := Path(json.loads(known.read_text()))).is_dir():
        return path
    wanted = BY_NAME[component]
    done = subprocess.run(
        [go_program(), "mod", "download", "-json", wanted.module],
        cwd=wanted.folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(
            f"downloading the sources of {wanted.module} {wanted.version} failed: {done.stderr.strip()[-500:]}"
        )
    path = Path(json.loads(done.stdout)["Dir"])
    write(known, json.dumps(str(path)))
    return path


def read_files(component: str, *patterns: str) -> list[Manifest]:
    """The documents of the files in the component's module that match `patterns`, in order of the file names."""

    def read() -> list[Manifest]:
        sources = source_folder(component)
        found = [path for pattern in patterns for path in sorted(sources.glob(pattern))]
        if not found:
            raise LabError(f"{component} has no {', '.join(patterns)} any more; update the add-on for this version")
        return [each for path in found for each in parse(path.read_text())]

    return _cached(component, ["files", *patterns], read)


def render_kustomization(component: str, *paths: str, namespace: str | None = None) -> list[Manifest]:
    """Renders the kustomizations at `paths` of the component's module, moved to `namespace` if one is given."""
    program = folder_of(BY_NAME["kubernetes"]) / "kubectl"

    def kustomize() -> list[Manifest]:
        sources = source_folder(component)
        if namespace is None and len(paths) == 1:
            return parse(run(program, "kustomize", sources / paths[0]))
        with TemporaryDirectory() as workplace:
            # Kustomize accepts folders outside its own only as relative paths.
            resources = [os.path.relpath(sources / path, Path(workplace).resolve()) for path in paths]
            overlay = {"resources": resources, **({"namespace": namespace} if namespace else {})}
            (Path(workplace) / "kustomization.yaml").write_text(json.dumps(overlay))
            return parse(run(program, "kustomize", workplace))

    return _cached(component, ["kustomize", str(program), namespace, *paths], kustomize)


def render_chart(component: str, path: str, release: str, namespace: str, values: Manifest) -> list[Manifest]:
    """Renders the Helm chart at `path` of the component's module. `values` override the chart's own."""
    program = folder_of(BY_NAME["helm"]) / "helm"
    options = ("--namespace", namespace, "--include-crds", "--values", "-")

    def render() -> list[Manifest]:
        return parse(
            run(program, "template", release, source_folder(component) / path, *options, stdin=json.dumps(values))
        )

    return _cached(component, ["chart", str(program), path, release, namespace, values], render)


_MOST_KEPT = 20


def _cached(component: str, inputs: list[Any], make: Callable[[], list[Manifest]]) -> list[Manifest]:
    """The result of `make`, cached by `inputs`. Rendering takes seconds, which is most of the time of an `up`."""
    kept = _cache_file(component, inputs)
    if not kept.exists():
        write(kept, json.dumps(make(), default=str))
        by_age = sorted(kept.parent.glob(f"{component}-????????????????.json"), key=lambda each: each.stat().st_mtime)
        for older in by_age[:-_MOST_KEPT]:
            older.unlink(missing_ok=True)
    found: list[Manifest] = json.loads(kept.read_text())
    return found


def _cache_file(component: str, inputs: list[Any]) -> Path:
    """The cache file for `inputs` and the component's pins. A changed pin gives another file."""
    digest = hashlib.sha256(json.dumps([cache.key(BY_NAME[component]), *inputs]).encode()).hexdigest()[:16]
    return cache_folder() / "rendered" / f"{component}-{digest}.json"


def pod_specs(manifests: Iterable[Manifest]) -> Iterable[Manifest]:
    """The pod specs of Deployments, DaemonSets, StatefulSets and Jobs. Callers change them in place."""
    for each in manifests:
        if each["kind"] in ("Deployment", "DaemonSet", "StatefulSet", "Job"):
            yield each["spec"]["template"]["spec"]


def each_container(manifests: Iterable[Manifest], change: Callable[[Manifest], None]) -> None:
    """Calls `change` with every container, including init containers."""
    for spec in pod_specs(manifests):
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            change(container)


def with_image(manifests: list[Manifest], image: str) -> list[Manifest]:
    """The manifests with the image of every container replaced. For projects with one program."""

    def replace(container: Manifest) -> None:
        container["image"] = image
        container["imagePullPolicy"] = "IfNotPresent"

    each_container(manifests, replace)
    return manifests


def with_fast_readiness(manifests: list[Manifest]) -> list[Manifest]:
    """The manifests with readiness probes that start after 1 s and repeat every 2 s, as the lab waits for them."""

    def change(container: Manifest) -> None:
        if "readinessProbe" in container:
            container["readinessProbe"] |= {"initialDelaySeconds": 1, "periodSeconds": 2}

    each_container(manifests, change)
    return manifests


def find(manifests: Iterable[Manifest], kind: str, name: str) -> Manifest:
    """One object of the manifests. Raises LabError when upstream no longer has it."""
    for each in manifests:
        if each["kind"] == kind and each["metadata"]["name"] == name:
            return each
    raise LabError(f"upstream's manifests have no {kind} '{name}' any more; update the add-on for this version")
