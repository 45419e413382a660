"""An image with Ray from the package index on the lab's Python: what KubeRay's pods run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab.build import wheels
from lab.files import write
from lab.images.archive import Image
from lab.images.libraries import with_libraries
from lab.images.names import qualified_name
from lab.images.python import python_base
from lab.images.store import find_program

VERSION = "2.60.0"
# The Java side, and libraries upon Ray that bring hundreds of files and need more packages to run.
_LEFT_OUT = ("ray/jars", "ray/rllib", "ray/llm")
_START = "#!/usr/local/bin/python3\nimport sys\nfrom ray.scripts.scripts import main\nsys.exit(main())\n"


def ray_image(name: str = "") -> Image:
    """The image, called `ray:VERSION` unless named, with `ray` on its PATH, and bash and curl beside it.

    KubeRay starts everything by bash. Its own probes call GNU's wget, which is not here: pods bring probes (`probes`).
    """
    base = python_base()
    minor = next(path.rpartition("python")[2] for path in base.files if path.startswith("usr/local/lib/python"))
    packages = wheels.packages(f"ray-{VERSION}-python{minor}", (f"ray[default]=={VERSION}",), without=_LEFT_OUT)
    start = packages.parent / f"{packages.name}.start"
    if not start.exists():
        write(start, _START, mode=0o755)
    files = {
        **base.files,
        **with_libraries(find_program("bash", "bash"), "bin/bash"),
        **with_libraries(find_program("curl", "curl"), "usr/bin/curl"),
        **_package_files(packages, f"usr/local/lib/python{minor}/site-packages"),
        "usr/local/bin/ray": start,
    }
    links = {path: target for path, target in base.links.items() if path not in files}
    return replace(base, names=(qualified_name(name or f"ray:{VERSION}"),), files=files, links=links)


def probes(path: str, port: int) -> dict[str, object]:
    """A container's readiness and liveness by an address of Ray's own: of the head at 8265, of a node at 52365."""
    asked = {"exec": {"command": ["curl", "-fsS", "-m", "5", "-o", "/dev/null", f"http://localhost:{port}/{path}"]}}
    often = {"timeoutSeconds": 6, "periodSeconds": 2}
    return {
        "readinessProbe": {**asked, **often},
        "livenessProbe": {**asked, **often, "initialDelaySeconds": 60, "failureThreshold": 30},
    }


HEAD_PROBE = ("api/gcs_healthz", 8265)
NODE_PROBE = ("api/local_raylet_healthz", 52365)


def _package_files(packages: Path, place: str) -> dict[str, Path]:
    return {f"{place}/{each.name}": each for each in sorted(packages.iterdir()) if each.name != "bin"}
