"""Programs from Debian packages, unpacked into the cache without being installed: no service is started."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from lab.build.cache import cache_folder
from lab.commands import run
from lab.errors import LabError


def program(package: str, path: str) -> Path:
    """The file `path` of a Debian package: the installed one, or one from the package, downloaded once."""
    installed = Path("/", path)
    if installed.exists():
        return installed
    target = cache_folder() / "debian" / package
    if not (target / path).exists():
        _unpack(package, target)
    return target / path


def _unpack(package: str, target: Path) -> None:
    if shutil.which("apt-get") is None:
        raise LabError(f"'{package}' is taken from Debian, and this is another system: install it so that it is on PATH")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as workplace:
        # _apt, the user that apt downloads as, has to be able to write here.
        Path(workplace).chmod(0o777)
        run("sh", "-c", f"cd {workplace} && (apt-get download -q {package} || (apt-get update -q && apt-get download -q {package}))", limit=300)
        archive = next(Path(workplace).glob("*.deb"))
        shutil.rmtree(target, ignore_errors=True)
        run("dpkg-deb", "-x", archive, target)
