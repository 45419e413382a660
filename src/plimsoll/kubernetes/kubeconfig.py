"""Which cluster a target's name means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plimsoll.errors import FileError
from plimsoll.home import home

if TYPE_CHECKING:
    from lightkube.config.kubeconfig import SingleConfig

LAB = "lab"


def named(target: str) -> SingleConfig:
    """The cluster and user of a kubeconfig's context; `lab` is the lab of this machine unless a context is called so.

    Files are those of KUBECONFIG, or ~/.kube/config. Raises FileError with the contexts that there are.
    """
    from lightkube.config.kubeconfig import KubeConfig
    from lightkube.core.exceptions import ConfigError

    known: list[str] = []
    for path in _files():
        if not path.is_file():
            continue
        try:
            config = KubeConfig.from_file(path)
            known += config.contexts
            if target in config.contexts:
                return _single(config, target)
        except (ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise FileError(f"this kubeconfig cannot be read: {error}", where=str(path)) from error
    if target == LAB and _lab().is_file():
        return _single(KubeConfig.from_file(_lab()), None)
    hint = f"there are: {', '.join(known)}" if known else "set KUBECONFIG, or make ~/.kube/config"
    if target == LAB:
        hint = "'python -m lab up' starts the lab"
    raise FileError(f"there is no context '{target}' in {_named_files()}", hint=hint)


def _single(config: Any, context: str | None) -> SingleConfig:
    found: SingleConfig = config.get(context)
    if found.user is None:
        raise FileError(f"the context '{found.context_name}' names no user", where=str(found.fname))
    return found


def _files() -> list[Path]:
    listed = os.environ.get("KUBECONFIG", "")
    if named := [Path(each) for each in listed.split(os.pathsep) if each]:
        return named
    found = home()
    if found is None:
        hint = "set KUBECONFIG to the file of your clusters, or HOME to the directory that has .kube/config"
        raise FileError("there is no kubeconfig: the user has no home directory", where="KUBECONFIG", hint=hint)
    return [found / ".kube" / "config"]


def _named_files() -> str:
    return ", ".join(map(str, _files()))


def _lab() -> Path:
    name = os.environ.get("PLIMSOLL_LAB_NAME", "plimsoll-lab")
    return Path(os.environ.get("PLIMSOLL_LAB", f"/var/lib/{name}")) / "kubeconfig"
