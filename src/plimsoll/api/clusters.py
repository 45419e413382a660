"""Clusters: check what one can carry, and judge the evidence again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from plimsoll.capabilities import checking, preconditions
from plimsoll.capabilities.access import ADVICE
from plimsoll.capabilities.bundle_reader import Bundle, open_bundle
from plimsoll.capabilities.checking import CheckPlan, Judged
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
    preconditions.require_known(profile_name, only)
    preconditions.require_empty(directory)
    api = Api(target)
    api.advice = ADVICE
    try:
        facts = checking.take_inventory(api, directory)
        preconditions.require_rights(api, facts.served)
        plan = CheckPlan(profile=profile_name, only=tuple(only), timeout=timeout)
        return checking.check(api, plan, facts, directory, on_progress)
    finally:
        api.close()


def verify(directory: Path | str) -> Bundle:
    """Judge a bundle again, offline. `problems` names every altered file and every verdict that differs.

    Raises PlimsollError for a directory that is no bundle.
    """
    return open_bundle(Path(directory), KeyRing.default())
