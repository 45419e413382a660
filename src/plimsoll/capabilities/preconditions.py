"""What must hold before a check begins: a known profile, an empty directory, the rights that the probes need."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from plimsoll.capabilities.access import missing_rights, role_name
from plimsoll.capabilities.requirements import PROFILES, TENANTS, profile
from plimsoll.errors import FileError, TargetError
from plimsoll.kubernetes.api import Api

_SHOWN = 8
"""Rights that an error names; it counts them all."""


def require_known(profile_name: str, only: Collection[str]) -> None:
    """Raise FileError for a profile, or a requirement of it, that does not exist."""
    if profile_name not in PROFILES:
        raise FileError(f"there is no profile '{profile_name}'", hint=f"the profiles are: {', '.join(PROFILES)}")
    wanted = profile(profile_name)
    for name in only:
        if name not in wanted:
            raise FileError(
                f"{profile_name} has no requirement '{name}'", hint=f"its requirements are: {', '.join(wanted)}"
            )


def require_empty(directory: Path) -> None:
    """Raise FileError for a directory with content: a bundle is signed as a whole."""
    if directory.is_dir() and any(directory.iterdir()):
        hint = "name another directory with --output, or resume the check in it with --resume"
        raise FileError("the directory for the bundle is not empty", where=str(directory), hint=hint)


def require_rights(api: Api, served: frozenset[str], profile_name: str = "") -> None:
    """Raise TargetError when the caller lacks rights that the probes of a cluster with these API versions need."""
    if lacking := missing_rights(api, served, profile_name):
        more = " …" if len(lacking) > _SHOWN else ""
        name, chosen = role_name(profile_name), f" --profile {TENANTS}" if profile_name == TENANTS else ""
        raise TargetError(
            f"you lack {len(lacking)} rights: {', '.join(lacking[:_SHOWN])}{more}",
            where=api.target,
            hint=f"plimsoll check --print-rbac{chosen} | kubectl apply -f -\n"
            f"  kubectl create clusterrolebinding {name} --clusterrole={name} --user=YOU",
        )
