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

from plimsoll.cli import completion
from plimsoll.cli.options import json_option, print_json, width
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plimsoll.capabilities.checking import Judged


@click.command("check")
@click.option(
    "--target", default="", metavar="CONTEXT", shell_complete=completion.targets, help="Kubeconfig context, or lab."
)
@click.option(
    "--profile",
    "profile_name",
    default="cncf-1.37",
    show_default=True,
    help="Profile: cncf-1.33 to cncf-1.37, or tenants.",
)
@click.option("--only", multiple=True, metavar="ID", help="Check one requirement only; repeatable.")
@click.option("--read-only", is_flag=True, help="Print the inventory and stop; nothing is created.")
@click.option("--images", default="", metavar="PREFIX", help="Registry to use instead of registry.k8s.io.")
@click.option(
    "--timeout", default=1800.0, show_default=True, metavar="SECONDS", help="Time limit for all probes together."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Directory for the evidence bundle.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=None,
    help="Resume an interrupted check, in its bundle.",
)
@click.option("--clean", "only_clean", is_flag=True, help="Delete leftovers of earlier checks, and do nothing else.")
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
    """Test by behaviour what a cluster can carry, and write an evidence bundle.

    The exit status is 0 when every MUST is shown, 1 when one fails, 3 when one could not be shown.
    """
    from plimsoll.capabilities import checking, preconditions
    from plimsoll.capabilities.access import ADVICE
    from plimsoll.capabilities.cleaning import clean
    from plimsoll.kubernetes.api import Api
    from plimsoll.report.load_line import inventory_lines, load_line

    if print_rbac:
        _print_role(profile_name)
        return 0
    if not target:
        raise FileError("--target is missing", hint="name a kubeconfig context, or lab")
    preconditions.require_known(profile_name, only)
    api = Api(target)
    api.advice = ADVICE
    if only_clean:
        removed = clean(api)
        print_json({"removed": removed}) if as_json else click.echo("\n".join(removed) or "no leftovers")
        return 0
    plan = checking.CheckPlan(profile=profile_name, only=only, images=images, timeout=timeout)
    if resume:
        directory = resume
        plan, found = checking.resume_check(api, directory)
    else:
        directory = output or Path(f"plimsoll-{target}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        preconditions.require_empty(directory)
        found = checking.take_inventory(api, directory)
    if not as_json:
        click.echo("\n".join(inventory_lines(found)))
    if read_only:
        return 0
    preconditions.require_rights(api, found.served, plan.profile)
    # SIGTERM, as from a CI job that is cancelled, must delete what was created, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    judged = checking.check(api, plan, found, directory, CheckProgress().print_line)
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


def _print_role(profile_name: str) -> None:
    import yaml

    from plimsoll.capabilities.access import cluster_role

    click.echo(yaml.safe_dump(cluster_role(profile_name), sort_keys=False), nl=False)


class CheckProgress:
    """Prints a line on standard error for each event, with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def print_line(self, name: str, what: str) -> None:
        """Print one line; lines of several threads do not mix."""
        with self._lock:
            sys.stderr.write(f"{time.monotonic() - self._began:6.1f} s  {name:<26} {what}\n")
            sys.stderr.flush()
