"""Clusters: check what one can carry, and judge the evidence again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from plimsoll.capabilities import access, checking
from plimsoll.capabilities.bundle_reader import Bundle, open_bundle
from plimsoll.capabilities.checking import CheckPlan, Judged
from plimsoll.capabilities.requirements import PROFILES, profile
from plimsoll.errors import FileError, TargetError
from plimsoll.kubernetes.api import Api
from plimsoll.signing.keys import KeyRing


def check(
    target: str,
    output: Path | str,
    *,
    profile_name: str = "cncf-1.37",
    only: Sequence[str] = (),
    timeout: float = checking.TIMEOUT,
    on_progress: Callable[[str, str], None] = lambda _, __: None,
) -> Sequence[Judged]:
    """Check a cluster, a context of the kubeconfig, and write the signed evidence into an empty directory.

    `only` limits the check to these requirements, `timeout` is in seconds for all probes together. `on_progress` is
    called with a requirement and what happens to it. Raises FileError for a profile or a requirement that does not
    exist or a directory that is not empty, TargetError when rights are missing or the cluster is not reachable.
    """
    directory = Path(output)
    if profile_name not in PROFILES:
        raise FileError(f"there is no profile '{profile_name}'", hint=f"there are: {', '.join(PROFILES)}")
    if unknown := [name for name in only if name not in profile(profile_name)]:
        raise FileError(f"{profile_name} has no requirement '{unknown[0]}'")
    if directory.is_dir() and any(directory.iterdir()):
        raise FileError("a bundle needs an empty directory", where=str(directory))
    api = Api(target)
    try:
        facts = checking.take_inventory(api, directory)
        if lacking := access.missing_rights(api, facts.served):
            raise TargetError(f"{len(lacking)} rights are missing: {', '.join(lacking[:8])}", where=target)
        plan = CheckPlan(profile=profile_name, only=tuple(only), timeout=timeout)
        return checking.check(api, plan, facts, directory, on_progress)
    finally:
        api.close()


def verify(directory: Path | str) -> Bundle:
    """Judge a bundle again, offline. `problems` names every altered file and every verdict that differs.

    Raises PlimsollError for a directory that is no bundle.
    """
    return open_bundle(Path(directory), KeyRing.default())
