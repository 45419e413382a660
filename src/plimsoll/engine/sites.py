"""From a target's name to where it runs. A new kind of target is a line here."""

from __future__ import annotations

from pathlib import Path

from plimsoll.state.directory import LOCAL
from plimsoll.targets.base import Site
from plimsoll.targets.options import Options

__all__ = ["Options", "site_of"]


def site_of(target: str, directory: Path, application: str, options: Options | None = None) -> Site:
    """The site of a target: `local` is this machine, any other name a context of the kubeconfig.

    Raises FileError for a name that stands for nothing, TargetError when it cannot be used from here.
    """
    options = options or Options()
    if target == LOCAL:
        from plimsoll.targets.local.site import LocalSite

        return LocalSite(directory, options)
    from plimsoll.targets.kubernetes.site import KubernetesSite

    return KubernetesSite(target, directory, application, options)
