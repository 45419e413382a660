"""`plimsoll check`."""

from __future__ import annotations

import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import json_option, print_json, width
from plimsoll.errors import FileError, TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plimsoll.capabilities.checking import Judged


@click.command("check")
@click.option("--target", default="", metavar="CONTEXT", help="A context of your kubeconfig, or lab.")
@click.option("--profile", "profile_name", default="cncf-1.37", show_default=True, help="cncf-1.33 to cncf-1.37.")
@click.option("--only", multiple=True, metavar="ID", help="One requirement; can be repeated.")
@click.option("--read-only", is_flag=True, help="Stop after the inventory; nothing is made.")
@click.option("--images", default="", metavar="PREFIX", help="A registry in place of registry.k8s.io.")
@click.option("--timeout", default=1800.0, show_default=True, metavar="SECONDS", help="For all probes together.")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), default=None, help="Where the evidence bundle goes."
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=None,
    help="Go on with a check that was broken off, in its bundle.",
)
@click.option("--clean", "only_clean", is_flag=True, help="Remove what earlier checks have left, and do nothing else.")
@click.option("--print-rbac", is_flag=True, help="Print the rights that a check needs, as a ClusterRole.")
@json_option
def command(
    target: str,
    profile_name: str,
    only: tuple[str, ...],
    read_only: bool,
    images: str,
    timeout: float,
    output: Path | None,
    resume: Path | None,
    only_clean: bool,
    print_rbac: bool,
    as_json: bool,
) -> int:
    """Prove by behaviour what a cluster can carry, and write the evidence.

    Ends with 0 when every MUST is shown, 1 when one fails, 3 when one could not be shown.
    """
    from plimsoll.capabilities import access, checking
    from plimsoll.capabilities.cleaning import clean
    from plimsoll.kubernetes.api import Api
    from plimsoll.report.load_line import inventory_lines, load_line

    if print_rbac:
        _print_role()
        return 0
    if not target:
        raise FileError("--target is missing", hint="name a context of your kubeconfig, or lab")
    _known(profile_name, only)
    api = Api(target)
    if only_clean:
        removed = clean(api)
        print_json({"removed": removed}) if as_json else click.echo("\n".join(removed) or "nothing was left")
        return 0
    plan = checking.CheckPlan(profile=profile_name, only=only, images=images, timeout=timeout)
    if resume:
        directory = resume
        plan, found = checking.resume_check(api, directory)
    else:
        directory = output or Path(f"plimsoll-{target}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        if directory.is_dir() and any(directory.iterdir()):
            hint = "name another with --output, or go on with --resume"
            raise FileError("a bundle needs an empty directory", where=str(directory), hint=hint)
        found = checking.take_inventory(api, directory)
    if not as_json:
        click.echo("\n".join(inventory_lines(found)))
    if read_only:
        return 0
    if lacking := access.missing_rights(api, found.served):
        raise TargetError(
            f"{len(lacking)} rights are missing: {', '.join(lacking[:8])}{' …' if len(lacking) > 8 else ''}",
            where=target,
            hint="plimsoll check --print-rbac | kubectl apply -f -\n"
            f"  kubectl create clusterrolebinding {access.NAME} --clusterrole={access.NAME} --user=YOU",
        )
    # Whoever ends a job asks in this way; what was made has to go as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    judged = checking.check(api, plan, found, directory, Progress().tell)
    if as_json:
        print_json(_as_json(plan.profile, found.cluster, judged, directory))
    else:
        click.echo("\n" + load_line(judged, width()))
        click.echo(f"\nevidence: {directory}")
    return checking.exit_status(judged)


def _as_json(profile_name: str, cluster: str, judged: Sequence[Judged], directory: Path) -> dict[str, object]:
    verdicts = [
        {
            "id": each.requirement,
            "level": each.level,
            "verdict": each.verdict.outcome.value,
            "figure": each.verdict.figure,
            "cause": each.verdict.cause,
            "remedy": each.verdict.remedy,
        }
        for each in judged
    ]
    return {"profile": profile_name, "cluster": cluster, "verdicts": verdicts, "bundle": str(directory)}


def _print_role() -> None:
    import yaml

    from plimsoll.capabilities.access import cluster_role

    click.echo(yaml.safe_dump(cluster_role(), sort_keys=False), nl=False)


def _known(profile_name: str, only: tuple[str, ...]) -> None:
    from plimsoll.capabilities.requirements import PROFILES, profile

    try:
        wanted = profile(profile_name)
    except KeyError:
        raise FileError(f"there is no profile '{profile_name}'", hint=f"there are: {', '.join(PROFILES)}") from None
    for name in only:
        if name not in wanted:
            raise FileError(f"{profile_name} has no requirement '{name}'", hint=f"it has: {', '.join(wanted)}")


class Progress:
    """A line for each thing that happens, on standard error, with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def tell(self, name: str, what: str) -> None:
        """Print one line, whole."""
        with self._lock:
            sys.stderr.write(f"{time.monotonic() - self._began:6.1f} s  {name:<26} {what}\n")
            sys.stderr.flush()
