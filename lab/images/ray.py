"""The image of KubeRay's pods: Ray from the package index on the lab's Python."""

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
# Left out: the Java part, and libraries on Ray that add hundreds of files and need more packages to run.
_LEFT_OUT = ("ray/jars", "ray/rllib", "ray/llm")
_START = "#!/usr/local/bin/python3\nimport sys\nfrom ray.scripts.scripts import main\nsys.exit(main())\n"


def ray_image(name: str = "") -> Image:
    """The image, with `ray`, bash and curl on its PATH. Its default name is `ray:VERSION`.

    KubeRay starts everything through bash. Its own probes call GNU wget, which the image lacks, so pods bring their own
    probes (`probes`).
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
    """Readiness and liveness probes of a container at an HTTP path of Ray: port 8265 on the head, 52365 on a node."""
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
