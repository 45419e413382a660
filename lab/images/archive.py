"""Writes an OCI image layout as one tar file. The same files give the same bytes and the same digest.

Specification: github.com/opencontainers/image-spec, image-layout.md and config.md, v1.1.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.files import write

_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


@dataclass(frozen=True)
class Image:
    """The description of an image: its names, its files, and how it starts.

    `files` maps a path in the image to a file or folder on this machine. `links` maps a path in the image to the target
    of a symbolic link.
    """

    names: tuple[str, ...]
    files: Mapping[str, Path]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[str] = ("tmp",)
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


def save(image: Image, target: Path) -> str:
    """Writes `image` as an OCI layout to the tar file `target`. Returns the digest of its manifest."""
    layer = _layer(image)
    layer_digest = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Entrypoint": list(image.entrypoint),
            "Cmd": list(image.command),
            "Env": [f"{name}={value}" for name, value in {**_ENVIRONMENT, **image.environment}.items()],
            **({"User": image.user} if image.user else {}),
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created_by": "plimsoll lab"}],
    }
    blobs = [json.dumps(config, sort_keys=True).encode(), layer]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", blobs[0]),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
        },
        sort_keys=True,
    ).encode()
    described = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{**described, "annotations": {"io.containerd.image.name": name}} for name in image.names],
    }
    members = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(index).encode()}
    members |= {f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}": blob for blob in (*blobs, manifest)}
    write(target, _tar(members))
    return str(described["digest"])


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "size": len(blob), "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}"}


def _tar(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(members):
            entry = tarfile.TarInfo(name)
            entry.size = len(members[name])
            archive.addfile(entry, io.BytesIO(members[name]))
    return buffer.getvalue()


def _layer(image: Image) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, source in sorted(_flattened(image).items()):
            archive.addfile(*_entry(path, source))
    return buffer.getvalue()


def _flattened(image: Image) -> dict[str, Path | str | None]:
    """Every path of the image, parents included, with its file, its link's target, or None for a folder."""
    found: dict[str, Path | str | None] = dict.fromkeys(image.folders)
    for path, source in image.files.items():
        inner = path.strip("/")
        if source.is_dir():
            for below in sorted(source.rglob("*")):
                name = f"{inner}/{below.relative_to(source)}" if inner else str(below.relative_to(source))
                found[name] = str(below.readlink()) if below.is_symlink() else None if below.is_dir() else below
        else:
            found[inner] = source
    found |= {path.strip("/"): target for path, target in image.links.items()}
    for path in list(found):
        for parent in Path(path).parents:
            if str(parent) != ".":
                found.setdefault(str(parent), None)
    return found


def _entry(path: str, source: Path | str | None) -> tuple[tarfile.TarInfo, io.BufferedIOBase | None]:
    """A tar entry without owner, time, and mode bits other than executable, which differ between machines."""
    entry = tarfile.TarInfo(path)
    entry.mode = 0o755
    if source is None:
        entry.type = tarfile.DIRTYPE
        entry.mode = 0o1777 if path == "tmp" else 0o755
        return entry, None
    if isinstance(source, str):
        entry.type = tarfile.SYMTYPE
        entry.linkname = source
        return entry, None
    content = source.read_bytes()
    entry.size = len(content)
    entry.mode = 0o755 if os.access(source, os.X_OK) else 0o644
    return entry, io.BytesIO(content)
