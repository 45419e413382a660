"""Open MPI on a cluster: mpirun in one pod starts ranks in the others, in an image without SSH."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from lab.images.mpi import mpi_image
from lab.images.store import ensure_archive
from lab.kubectl import kubectl
from tests.lab.cluster import until
from tests.lab.conftest import Up
from tests.lab.kubernetes.conftest import Application

pytestmark = [
    pytest.mark.lab,
    pytest.mark.series,
    pytest.mark.skipif(shutil.which("mpirun") is None, reason="needs mpirun (apt-get install openmpi-bin)"),
]
ADDONS = ("jobset", "kueue", "gateway", "registry")
# Without mpi4py, so that the image needs nothing from a package index.
TRAIN = """
import ctypes, json, os, pathlib, shutil, socket
mpi = ctypes.CDLL("libmpi.so.40", mode=ctypes.RTLD_GLOBAL)
def named(name):
    return ctypes.byref(ctypes.c_char.in_dll(mpi, name))
world, double, add = named("ompi_mpi_comm_world"), named("ompi_mpi_double"), named("ompi_mpi_op_sum")
mpi.MPI_Init(None, None)
rank, size = ctypes.c_int(), ctypes.c_int()
mpi.MPI_Comm_rank(world, ctypes.byref(rank))
mpi.MPI_Comm_size(world, ctypes.byref(size))
rank, size = rank.value, size.value
def total(values):
    given, summed = (ctypes.c_double * len(values))(*values), (ctypes.c_double * len(values))()
    assert mpi.MPI_Allreduce(given, summed, len(values), double, add, world) == 0
    return list(summed)
lines = pathlib.Path(os.environ["PLIMSOLL_INPUT_FEATURES"], "live.csv").read_text().splitlines()[1:]
rows = [(float(left) / len(lines), float(right)) for left, right in (line.split(",") for line in lines)][rank::size]
weight = bias = 0.0
for step in range(100):
    errors = [(weight * left + bias - right, left) for left, right in rows]
    slope, shift = total([sum(error * left for error, left in errors), sum(error for error, _ in errors)])
    weight, bias = weight - 0.02 * slope, bias - 0.02 * shift
print(f"rank {rank} of {size} on {socket.gethostname()}", flush=True)
if rank == 0:
    output = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
    shutil.copy(os.environ["PLIMSOLL_INPUT_PREPARED"], output / "model.onnx")
    (output / "metrics.json").write_text(json.dumps({"rows": size, "weight": weight, "bias": bias}))
mpi.MPI_Finalize()
"""


def test_mpirun_trains_in_two_pods_what_it_trains_here(up: Up, application: Application) -> None:
    up(*ADDONS)
    path = application.directory / "plimsoll.yaml"
    path.write_text(path.read_text().partition("  services:")[0])
    application.change("run: python train.py", "run: mpirun python train.py")
    application.change("workers: 2,", "workers: 2, framework: mpi,")
    (application.directory / "train.py").write_text(TRAIN)
    if os.geteuid() == 0:
        application.environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    done = application.plimsoll(
        "run", "--target", "lab", "--base", f"oci-archive:{ensure_archive(mpi_image())}", "--json"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    logs = application.plimsoll("logs", "train/toy", "--target", "lab").stdout
    hosts = {line.rpartition(" on ")[2] for line in logs.splitlines() if " of 2 on " in line}
    assert len(hosts) == 2, logs
    here = application.plimsoll("run", "--target", "local", "--json")
    assert here.returncode == 0, here.stdout + here.stderr
    there, local = (json.loads(each.stdout)["models"]["toy"]["metrics"] for each in (done, here))
    assert there == local
    assert there["rows"] == 2
    removed = application.plimsoll("down", "--target", "lab")
    assert removed.returncode == 0, removed.stderr
    until(lambda: not application.left(), limit=60, what="the end of everything")
    left = kubectl("get", "secrets", "--all-namespaces", f"-lplimsoll.dev/application={application.name}", "-oname")
    assert not left.split()
