"""The digests that the files of a model must have, as options of a command line. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def digest_options(files: Mapping[Path, str]) -> list[str]:
    """One option for each file, with its digest `sha256:…`."""
    return [f"--digest={path}={digest}" for path, digest in files.items()]


def digests_in(given: Sequence[str]) -> dict[str, str]:
    """The digests by path in the values of these options."""
    return {path: digest for path, _, digest in (each.rpartition("=") for each in given)}
