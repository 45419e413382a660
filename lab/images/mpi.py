"""The image of trainings with MPI: this machine's Open MPI on the lab's Python, without SSH."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab.errors import LabError
from lab.images.archive import Image
from lab.images.libraries import with_libraries
from lab.images.names import qualified_name
from lab.images.python import python_base
from lab.images.store import find_program

_PLACES = ("/usr/lib/x86_64-linux-gnu/openmpi/lib/openmpi3", "/usr/lib/openmpi/lib/openmpi3")
_TEXTS = ("/usr/share/openmpi", "/etc/openmpi", "/usr/lib/x86_64-linux-gnu/pmix2")
# For networks and schedulers that the lab has not; their libraries are larger than all the rest.
_LEFT_OUT = ("ucx", "ofi", "psm", "openib", "slurm", "gridengine", "flux", "jsm", "monitoring")


def mpi_image(name: str = "") -> Image:
    """The image, with `mpirun` on its PATH. Its default name is `openmpi:latest`."""
    base = python_base()
    launcher, daemon = find_program("mpirun", "openmpi-bin").resolve(), find_program("orted", "openmpi-bin").resolve()
    components = next((Path(each) for each in _PLACES if Path(each).is_dir()), None)
    if components is None:
        raise LabError("Open MPI has no components on this machine: apt-get install openmpi-bin")
    library = components.parents[2] / "libmpi.so.40"
    files = {**base.files}
    for program, path in ((launcher, "usr/bin/mpirun"), (daemon, "usr/bin/orted"), (library, str(library).lstrip("/"))):
        files |= _real(with_libraries(program.resolve(), path))
    for component in sorted(components.glob("*.so")):
        if not any(word in component.name for word in _LEFT_OUT):
            files |= _real(with_libraries(component, str(component).lstrip("/")))
    files |= {each.lstrip("/"): Path(each) for each in _TEXTS if Path(each).is_dir()}
    return replace(base, names=(qualified_name(name or "openmpi:latest"),), files=files)


def _real(files: dict[str, Path]) -> dict[str, Path]:
    return {path: file for path, file in files.items() if file.exists()}
