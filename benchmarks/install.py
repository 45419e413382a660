"""How much is installed: fresh environments for the core and each extra, and what works with the core alone."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import ROOT, uv, verdict

LIMIT = 30.0
EXTRAS = ("", "serve", "parquet", "demo", "mlflow")
APPLICATION = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: tiny}
spec:
  datasets:
    numbers: {run: seq 3 > $PLIMSOLL_OUTPUT/numbers.txt, outputs: [numbers.txt]}
  models:
    copy: {train: {run: cp $PLIMSOLL_INPUT_NUMBERS/numbers.txt $PLIMSOLL_OUTPUT/model.txt, inputs: [numbers]}}
"""


def main(_: list[str]) -> bool:
    """Print the size of each, in MB beyond Python and without byte code."""
    print("install: MB beyond Python, without byte code")
    sizes = {}
    for extra in EXTRAS:
        with tempfile.TemporaryDirectory() as name:
            python = _installed(Path(name), extra)
            sizes[extra] = _size(Path(name)) / 1e6
            print(f"  plimsoll{f'[{extra}]' if extra else ''}: {sizes[extra]:.1f} MB", flush=True)
            if not extra:
                _works(python)
    return verdict("core", sizes[""], LIMIT, "MB")


def _installed(directory: Path, extra: str) -> Path:
    python = directory / "env" / "bin" / "python"
    subprocess.run([*uv(), "venv", "--quiet", "--python", sys.executable, str(directory / "env")], check=True)
    package = f"plimsoll[{extra}] @ {ROOT.as_uri()}" if extra else str(ROOT)
    subprocess.run([*uv(), "pip", "install", "--quiet", "--python", str(python), package], check=True)
    return python


def _size(directory: Path) -> int:
    packages = next((directory / "env" / "lib").glob("python*/site-packages"))
    files = (path for path in packages.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sum(path.stat().st_size for path in files)


def _works(python: Path) -> None:
    """`plan`, `run` and `models` with nothing but the core."""
    with tempfile.TemporaryDirectory() as name:
        Path(name, "plimsoll.yaml").write_text(APPLICATION)
        for verb in ("plan", "run", "models"):
            subprocess.run([str(python), "-m", "plimsoll", verb], cwd=name, check=True, stdout=subprocess.DEVNULL)
    print("  plan, run and models work with the core alone")


if __name__ == "__main__":
    main([])
