"""Verified models under the names of their files: directories of links to the blobs of a layout."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.files import digest_of_file
from plimsoll.registry.layout import Layout, Manifest
from plimsoll.registry.versions import ModelVersion, safe_file_path

DIRECTORY = "opened"


def directory_name(config_digest: str) -> str:
    """The name of the directory of a version, by the digest of its config."""
    return config_digest.removeprefix("sha256:")[:32]


def has_files(version: ModelVersion, files: Mapping[str, Path]) -> bool:
    """Whether a version has exactly these files. Raises TargetError for one that cannot be read."""
    if version.files.keys() != files.keys():
        return False
    for name, path in files.items():
        try:
            if digest_of_file(path) != version.files[name].digest:
                return False
        except OSError as error:
            raise TargetError(f"cannot read a file of the model: {error.strerror}", where=str(path)) from error
    return True


def link_files(layout: Layout, manifest: Manifest) -> dict[str, Path]:
    """Give verified blobs their own names: hard links to the same bytes, copies where links do not work.

    The time of the directory says when it was last asked for.
    """
    directory = layout.root / DIRECTORY / directory_name(manifest.config.digest)
    paths = {}
    for layer in manifest.layers:
        name = safe_file_path(layer)
        path, blob = directory / name, layout.path(layer.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or not path.samefile(blob):
            # Services and batches open the same model at the same time, from threads and processes.
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            try:
                os.link(blob, temporary)
            except OSError:
                # The file system has no hard links.
                shutil.copyfile(blob, temporary)
            temporary.replace(path)
            # POSIX: a rename onto another link of the same file does nothing, so the temporary name is still there.
            temporary.unlink(missing_ok=True)
        paths[str(name)] = path
    with contextlib.suppress(OSError):
        # Where nobody may write, nothing is swept either.
        os.utime(directory)
    return paths
