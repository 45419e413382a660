"""Checks of `spec.encryption` before anything is opened: a key in the wrong place protects nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from plimsoll.application.encryption import AT
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.targets import LOCAL


def check_encryption(file: ApplicationFile) -> None:
    """Raise FileError for a key in more places than one or in none, and for one beside what it protects."""
    encryption = file.application.encryption
    if encryption is None:
        return
    key = encryption.key
    given = [word for word in ("file", "env", "command") if getattr(key, word) is not None]
    if len(given) != 1:
        text = (
            f"the key is in {' and in '.join(given)}: one place is enough"
            if given
            else "it is not said where the key is"
        )
        raise file.error(text, "write one of `file`, `env` and `command`", *AT, "key", at_key=True)
    if key.secret is not None and key.command is not None:
        text = "pods have the key from a Secret, and this machine from a command: it has to read the same one"
        raise file.error(text, "write `file` or `env` beside `secret`", *AT, "key", "secret", at_key=True)
    if key.file is not None and _is_beside(Path(key.file), file.directory):
        raise file.error(
            "the key lies in the application's directory, with what it protects: who copies the one has the other",
            "keep it elsewhere, such as in ~/.config/plimsoll/encryption",
            *AT,
            "key",
            "file",
        )


def check_clusters(file: ApplicationFile, targets: Iterable[str]) -> None:
    """Raise FileError for an encrypted application on a cluster, unless the file says that it knows what is in clear.

    A run there keeps results, checkpoints and models in a registry, which has no key.
    """
    encryption = file.application.encryption
    cluster = next((target for target in targets if target != LOCAL), None)
    if encryption is None or encryption.clusters is not None or encryption.key.secret is not None:
        return
    if cluster is not None:
        raise file.error(
            f"results and checkpoints on {cluster} would lie in a registry in clear: its pods have no key",
            "name a Secret with the key beside where this machine has it, as in key: {file: …, secret: shop/key}, "
            "or write clusters: plain",
            *AT,
            at_key=True,
        )


def _is_beside(path: Path, directory: Path) -> bool:
    try:
        place = directory / path.expanduser()
    except RuntimeError:
        # The home directory of a user who is not known.
        return False
    return place.resolve().is_relative_to(directory.resolve())
