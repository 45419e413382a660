"""Image archives in the cache, and their import into nodes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from lab import layout
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.build.folders import cache_folder
from lab.commands import run
from lab.errors import LabError
from lab.files import write
from lab.images import archive
from lab.images.archive import Image
from lab.images.libraries import with_libraries
from lab.images.names import AGNHOST, PAUSE, built_image_name
from lab.layout import Node
from lab.machines import enter

_KEPT = 24 * 3600.0


def program_image(component: str, program: str) -> Image:
    """An image that contains one static program and nothing else."""
    files = {f"usr/local/bin/{program}": folder_of(BY_NAME[component]) / program}
    return Image((built_image_name(program, BY_NAME[component]),), files, entrypoint=(f"/usr/local/bin/{program}",))


def agnhost_image() -> Image:
    """Upstream's test program with a shell and curl. The image also serves as the pause image of pod sandboxes."""
    binary = folder_of(BY_NAME["kubernetes"]) / "agnhost"
    busybox = find_program("busybox", "busybox-static")
    return Image(
        (AGNHOST, PAUSE),
        {
            "agnhost": binary,
            "bin/busybox": busybox,
            **with_libraries(find_program("curl", "curl"), "usr/bin/curl"),
        },
        entrypoint=("/agnhost",),
        command=("pause",),
        links={f"bin/{command}": "busybox" for command in run(busybox, "--list").split() if command != "busybox"},
    )


def find_program(program: str, package: str) -> Path:
    """The path of a program on this machine. Raises LabError that names the package that contains it."""
    found = shutil.which(program)
    if found is None:
        raise LabError(f"program '{program}' is not on PATH (Debian: apt-get install {package})")
    return Path(found)


def ensure_archive(image: Image) -> Path:
    """The archive of an image in the cache, written again when the image's files changed."""
    digest = hashlib.sha256(
        repr((image.names, image.entrypoint, image.command, image.user, image.links, image.environment)).encode()
    )
    for path, source in sorted(image.files.items()):
        digest.update(path.encode())
        for file in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if file.is_file():
                found = file.stat()
                digest.update(f"{file}:{found.st_size}:{found.st_mtime_ns}".encode())
    short = image.names[0].split("/")[-1].replace(":", "-")
    target = cache_folder() / "images" / f"{short}-{digest.hexdigest()[:16]}.tar"
    if not target.exists():
        archive.save(image, target)
        for older in target.parent.glob(f"{short}-????????????????.tar"):
            # Another lab on this machine may come from another tree and give this archive to its new nodes.
            if older != target and time.time() - older.stat().st_mtime > _KEPT:
                older.unlink(missing_ok=True)
    os.utime(target)
    return target


def load(image_file: Path, node: Node) -> None:
    """Imports an archive's images into a node, unless a mark on the node's disk shows that it has them."""
    mark = node.folder / "disk" / "images" / image_file.name
    if mark.exists():
        return
    control = folder_of(BY_NAME["containerd"]) / "ctr"
    command = (str(control), "--namespace=k8s.io", "images", "import", "--local", str(image_file))
    run(*enter(node.name, *command), limit=180)
    write(mark, "")


def load_everywhere(images: Sequence[Image], nodes: Sequence[Node]) -> list[Path]:
    """Imports images into every node, and records them for nodes that are added later. Returns their archives."""
    files = [ensure_archive(image) for image in images]
    record_archives(files)
    for node in nodes:
        for file in files:
            load(file, node)
    return files


def copy_into_lab(file: Path) -> Path:
    """Copies an archive into the lab's folder under a name that contains its digest. Returns the copy."""
    with file.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()[:16]
    target = layout.FOLDER / "loaded-images" / f"{file.stem}-{digest}.tar"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".unfinished")
        shutil.copyfile(file, unfinished)
        unfinished.rename(target)
    return target


def record_archives(files: Sequence[Path]) -> None:
    """Records archives that every node must have."""
    known = recorded_archives()
    added = [file for file in files if file not in known]
    if added:
        write(layout.FOLDER / "images", "".join(f"{file}\n" for file in (*known, *added)))


def recorded_archives() -> list[Path]:
    """The recorded archives that still exist. Every node must have them."""
    try:
        lines = (layout.FOLDER / "images").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [Path(line) for line in lines if Path(line).exists()]


def image_names(node: Node) -> list[str]:
    """The names of the images on a node."""
    control = folder_of(BY_NAME["containerd"]) / "ctr"
    found = subprocess.run(
        enter(node.name, str(control), "--namespace=k8s.io", "images", "ls", "-q"),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return found.stdout.split()
