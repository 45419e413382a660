"""The frameworks' own environments, and what their scripts have converted: both made on demand and kept in the cache.

A conversion is run again when its script or its packages change; else the test serves what it left.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).with_name("scripts")
INSTALL_LIMIT = 900
CONVERT_LIMIT = 600
SYSTEM = Path("/usr/bin/python3")

TREES = ("scikit-learn==1.9.1", "skl2onnx==1.20.0", "xgboost-cpu==3.2.0", "lightgbm==4.7.0", "onnxmltools==1.16.0", "packaging",
         "onnx==1.23.2")  # fmt: skip
PACKAGES: dict[str, tuple[str, ...]] = {
    "sklearn": TREES,
    "xgboost": TREES,
    "lightgbm": TREES,
    "jax": ("jax==0.10.2", "jax2onnx==0.17.1", "onnx==1.23.2"),
    "tensorflow": ("tensorflow-cpu==2.21.0", "tf2onnx==1.17.0", "onnx==1.23.2"),
    # Debian's torch, for PyPI's comes with gigabytes for accelerators.
    "torch": (),
    "huggingface": ("transformers==4.36.2", "numpy<2", "onnx==1.23.2"),
}
ON_DEBIANS_TORCH = {"torch", "huggingface"}
ON_REQUEST = {"lightgbm", "jax", "tensorflow", "huggingface"}
"""Their environments are gigabytes, and minutes to make: `make test-all` has them."""


def converted(framework: str) -> Path:
    """The directory with what a framework's script has left: a directory a model. Skips with the reason."""
    if framework in ON_REQUEST and os.environ.get("PLIMSOLL_TESTS") != "all":
        pytest.skip(f"{framework} is converted by make test-all, or with PLIMSOLL_TESTS=all")
    if framework in ON_DEBIANS_TORCH:
        found = subprocess.run([str(SYSTEM), "-c", "import torch, numpy"], capture_output=True, check=False)
        if found.returncode:
            pytest.skip("needs torch and numpy for /usr/bin/python3 (apt-get install python3-torch python3-numpy)")
    files = [SCRIPTS / "saving.py", SCRIPTS / f"{framework}_models.py"]
    content = [path.read_bytes() for path in files]
    key = hashlib.sha256(b"\n".join([*content, *(name.encode() for name in PACKAGES[framework])])).hexdigest()[:16]
    directory = _cache() / "converted" / f"{framework}-{key}"
    if directory.exists():
        return directory
    python = _python(framework)
    work = directory.with_name(f".{directory.name}.{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    argv = [str(python), files[1].name, str(work)]
    told = subprocess.run(argv, cwd=SCRIPTS, capture_output=True, text=True, timeout=CONVERT_LIMIT, check=False)
    assert told.returncode == 0, told.stdout[-2000:] + told.stderr[-4000:]
    if not directory.exists():
        work.rename(directory)
    return directory


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plimsoll" / "portability"


def _python(framework: str) -> Path:
    packages = PACKAGES[framework]
    if not packages:
        return SYSTEM
    on_system = framework in ON_DEBIANS_TORCH
    name = hashlib.sha256("\n".join([sys.version, str(on_system), *packages]).encode()).hexdigest()[:16]
    base = _cache() / "environments" / name
    python = base / "bin" / "python"
    if (base / "complete").exists():
        return python
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        pytest.skip("needs uv (scripts/setup test)")
    which = ["--system-site-packages", "--python", str(SYSTEM)] if on_system else ["--python", sys.executable]
    for argv in (
        [uv, "venv", "--quiet", "--clear", *which, str(base)],
        [uv, "pip", "install", "--quiet", "--python", str(python), *packages],
    ):
        told = subprocess.run(argv, capture_output=True, text=True, timeout=INSTALL_LIMIT, check=False)
        if told.returncode:
            pytest.skip(f"{', '.join(packages)} cannot be installed here: {told.stderr.strip()[-300:]}")
    (base / "complete").touch()
    return python
