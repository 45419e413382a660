"""Manifests as upstream ships them in its Go module, with our images in place of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.build.go import go_program
from lab.commands import run
from lab.errors import LabError

Manifest = dict[str, Any]
Finish = Callable[[], None]


def folder(component: str) -> Path:
    """Where the sources of a component's module lie, downloaded if they are not there yet."""
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
        raise LabError(f"the sources of {wanted.module} {wanted.version} cannot be had: {done.stderr.strip()[-500:]}")
    return Path(json.loads(done.stdout)["Dir"])


def kustomized(component: str, *paths: str, namespace: str | None = None) -> list[Manifest]:
    """What the kustomizations at `paths` of the component's module come to, moved to `namespace` where one is given."""
    program = folder_of(BY_NAME["kubernetes"]) / "kubectl"
    sources = folder(component)
    if namespace is None and len(paths) == 1:
        return parsed(run(program, "kustomize", sources / paths[0]))
    with TemporaryDirectory() as workplace:
        # Kustomize takes folders outside its own by a relative path only.
        resources = [os.path.relpath(sources / path, Path(workplace).resolve()) for path in paths]
        overlay = {"resources": resources, **({"namespace": namespace} if namespace else {})}
        (Path(workplace) / "kustomization.yaml").write_text(json.dumps(overlay))
        return parsed(run(program, "kustomize", workplace))


def chart(
    component: str, path: str, release: str, namespace: str, values: Manifest, base: Path | None = None
) -> list[Manifest]:
    """What the Helm chart at `path` of the component's module renders to; `base` is a values file below `values`."""
    program = folder_of(BY_NAME["helm"]) / "helm"
    files = (["--values", str(base)] if base else []) + ["--values", "-"]
    options = ("--namespace", namespace, "--include-crds", *files)
    return parsed(run(program, "template", release, folder(component) / path, *options, stdin=json.dumps(values)))


def parsed(text: str) -> list[Manifest]:
    """The documents of a YAML text, empty ones left out."""
    return [document for document in yaml.load_all(text, _Loader) if document]  # a SafeLoader, see below


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # one of two, by what is installed
    """Reads a bare "=" as text, as YAML 1.2 and Kubernetes do; YAML 1.1 gives it a meaning that nobody uses."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))


def pod_specs(manifests: Iterable[Manifest]) -> Iterable[Manifest]:
    """The pod specs of deployments, jobs and the like, to be changed in place."""
    for each in manifests:
        if each["kind"] in ("Deployment", "DaemonSet", "StatefulSet", "Job"):
            yield each["spec"]["template"]["spec"]


def each_container(manifests: Iterable[Manifest], change: Callable[[Manifest], None]) -> None:
    """Calls `change` with every container, init containers too."""
    for spec in pod_specs(manifests):
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            change(container)


def with_image(manifests: list[Manifest], image: str) -> list[Manifest]:
    """The manifests with every container's image replaced: for projects of one program."""

    def replace(container: Manifest) -> None:
        container["image"] = image
        container["imagePullPolicy"] = "IfNotPresent"

    each_container(manifests, replace)
    return manifests


def found(manifests: Iterable[Manifest], kind: str, name: str) -> Manifest:
    """One object of the manifests. Raises LabError when upstream no longer has it."""
    for each in manifests:
        if each["kind"] == kind and each["metadata"]["name"] == name:
            return each
    raise LabError(f"upstream's manifests have no {kind} '{name}' any more; the add-on has to follow")


def text(manifests: Iterable[Manifest]) -> str:
    """Manifests as one JSON list, which the API server's clients read faster than YAML."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
