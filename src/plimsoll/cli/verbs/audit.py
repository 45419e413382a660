"""`plimsoll audit`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from plimsoll.cli import completion
from plimsoll.cli.audit_join import Kept, print_events
from plimsoll.cli.options import LOCAL, application_file, application_state, file_option, json_option, print_json
from plimsoll.cli.terminal import one_line

if TYPE_CHECKING:
    from plimsoll.audit.query import Query
    from plimsoll.audit.verification import Verified

Command = TypeVar("Command", bound=Callable[..., object])


@click.group("audit")
def command() -> None:
    """Verify, query and export the audit logs of services on this machine, and the log of what was signed."""


def _query_options(function: Command) -> Command:
    for decorate in (
        click.option("--version", "version", default=None, help="Calls to this version of a model."),
        click.option("--model", default=None, help="Calls to this model."),
        click.option("--status", "status", default=None, metavar="STATUS", help="413, 4xx, or several with commas."),
        click.option("--caller", default=None, help="Calls of this address or user."),
        click.option("--until", "until", default=None, metavar="TIME", help="Calls before this time."),
        click.option(
            "--since", "since", default=None, metavar="TIME", help="Calls from this time on (2026-01-31T12:00)."
        ),
    ):
        function = decorate(function)
    return function


def _cluster_options(function: Command) -> Command:
    for decorate in (
        click.option(
            "--within",
            type=click.FloatRange(0, 3600),
            default=5.0,
            show_default=True,
            help="Seconds between a call and an event of the same user that belong together.",
        ),
        click.option(
            "--kubernetes",
            "clusters",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Audit log of a cluster (audit.k8s.io/v1), joined with the calls by user, time and object.",
        ),
    ):
        function = decorate(function)
    return function


@command.command("verify")
@click.argument("services", nargs=-1, shell_complete=completion.services)
@file_option
@click.option("--log", "logs", multiple=True, type=click.Path(path_type=Path), help="File of the log, oldest first.")
@click.option("--stream", is_flag=True, help="The files are collected output of pods: several chains, and other lines.")
@click.option("--expect", multiple=True, metavar="CHAIN:N:DIGEST", help="A line noted earlier, which must be there.")
@json_option
def verify(
    services: tuple[str, ...], file: Path, logs: tuple[Path, ...], stream: bool, expect: tuple[str, ...], as_json: bool
) -> int:
    """Hold the audit logs of SERVICES, by default of all, against their chains and signatures.

    Prints the first line that is wrong (file:line) and what happened to it. The exit status is 1 when one is.
    """
    from plimsoll.audit.reading import expected_from, verify_files
    from plimsoll.engine.erasing.certificate import erased_lines
    from plimsoll.signing.keys import KeyRing
    from plimsoll.state.directory import StateDirectory

    erased = erased_lines(StateDirectory(application_file(file).absolute().parent), KeyRing.default())
    noted = [expected_from(each) for each in expect]
    found: dict[str, Verified] = {}
    for service, files, keys in _logs(services, file, logs):
        found[service] = verify_files(files, service, keys, expected=noted, erased=erased, stream=stream)
    if as_json:
        print_json({"whole": not any(each.findings for each in found.values()), "logs": found})
    else:
        for service, verified in found.items():
            _print(service, verified)
    return 1 if any(each.findings for each in found.values()) else 0


def _print(service: str, verified: Verified) -> None:
    if verified.findings:
        first = verified.findings[0]
        more = len(verified.findings) - 1
        click.echo(one_line(f"{service}: {first.kind}: {first.place}: {first.text}"))
        if more:
            click.echo(f"{service}: {more} more findings, which may follow from the first (--json has them)")
    else:
        head = verified.head
        checkpoints = "1 checkpoint" if verified.checkpoints == 1 else f"{verified.checkpoints} checkpoints"
        signed = f"{checkpoints}, signed to line {verified.signed}" if verified.checkpoints else ""
        told = [f"{verified.lines} lines are whole", f"{verified.calls} calls", *([signed] if signed else [])]
        told += [f"{verified.erased} erased"] if verified.erased else []
        click.echo(f"{service}: {', '.join(told)}")
        if head is not None:
            click.echo(f"{service}: head {head.chain}:{head.number}:{head.digest}")
    for note in verified.notes:
        click.echo(one_line(f"{service}: {note}"))


@command.command("query")
@click.argument("services", nargs=-1, shell_complete=completion.services)
@file_option
@click.option("--log", "logs", multiple=True, type=click.Path(path_type=Path), help="File of a log, oldest first.")
@_cluster_options
@_query_options
@json_option
def query(
    services: tuple[str, ...],
    file: Path,
    logs: tuple[Path, ...],
    clusters: tuple[Path, ...],
    within: float,
    as_json: bool,
    **asked: str | None,
) -> None:
    """Print the calls to SERVICES, by default to all, that match every option. The log is not verified.

    With --kubernetes, what happened on the cluster to objects of runs, or by those callers, is printed too.
    """
    from plimsoll.audit.files import lines_of
    from plimsoll.audit.query import calls_in

    wanted = _query(asked)
    listed = []
    kept = Kept(clusters, within, wanted)
    for service, files, _ in _logs(services, file, logs):
        for call in kept.noting(calls_in(lines_of(files), wanted)):
            if as_json:
                listed.append({"service": service, "place": str(call.place), **call.values})
                continue
            values = call.values
            model = f"{values['model']}@{values.get('version')}" if values.get("model") else str(values.get("call", ""))
            who = call.who.get("user") or call.who.get("client") or "-"
            told = (values.get("at"), service, who, values.get("event"), model, call.status, values.get("reason", ""))
            click.echo(one_line("  ".join(str(each) for each in told).rstrip()))
    joined = kept.joined()
    if as_json:
        print_json({"calls": listed, **({"cluster": joined} if joined is not None else {})})
    elif joined is not None:
        print_events(joined)


@command.command("export")
@click.argument("services", nargs=-1, shell_complete=completion.services)
@file_option
@click.option("--log", "logs", multiple=True, type=click.Path(path_type=Path), help="File of a log, oldest first.")
@_cluster_options
@_query_options
@click.option("--format", "form", type=click.Choice(["ocsf", "cef"]), default="ocsf", show_default=True)
def export(
    services: tuple[str, ...],
    file: Path,
    logs: tuple[Path, ...],
    clusters: tuple[Path, ...],
    within: float,
    form: str,
    **asked: str | None,
) -> None:
    """Write calls to SERVICES on standard output, a line each, as OCSF (API Activity) or CEF.

    With --kubernetes, what happened on the cluster to objects of runs, or by those callers, follows.
    """
    from plimsoll.audit import cluster_formats
    from plimsoll.audit.files import lines_of
    from plimsoll.audit.formats import FORMATS
    from plimsoll.audit.query import calls_in

    wanted = _query(asked)
    kept = Kept(clusters, within, wanted)
    for service, files, _ in _logs(services, file, logs):
        for call in kept.noting(calls_in(lines_of(files), wanted)):
            sys.stdout.write(FORMATS[form](call, service).decode() + "\n")
    joined = kept.joined()
    for event in joined.events if joined is not None else ():
        sys.stdout.write(cluster_formats.FORMATS[form](event).decode() + "\n")


@command.command("log")
@click.option("--verify", is_flag=True, help="Hold the log against its tree and its signed head.")
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Compare with the heads in this file, and add the present one.",
)
@click.option(
    "--expect", multiple=True, metavar="LOG:SIZE:ROOT", help="A head noted earlier, which the log must begin with."
)
@click.option(
    "--prove",
    default=None,
    metavar="ENTRY",
    help="Print the proof that an entry (number, digest or name) is in the log.",
)
@click.option(
    "--since",
    type=click.IntRange(0),
    default=None,
    metavar="SIZE",
    help="Print the proof that the log only grew since it had this size.",
)
@click.option(
    "--check",
    "proof",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="Check a proof; needs no log, only the signer's key.",
)
@json_option
def log(
    verify: bool,
    witnesses: tuple[Path, ...],
    expect: tuple[str, ...],
    prove: str | None,
    since: int | None,
    proof: Path | None,
    as_json: bool,
) -> int:
    """List all that your key has signed, or verify that the log of it was not rewritten.

    Prints the first line that is wrong (file:line) and what happened to it. The exit status is 1 when one is.
    """
    from plimsoll.cli import signing_log

    if proof is not None:
        return signing_log.check(proof, expect, as_json=as_json)
    if prove is not None or since is not None:
        return signing_log.prove(prove, since)
    if verify or witnesses or expect:
        return signing_log.verify(witnesses, expect, as_json=as_json)
    return signing_log.show(as_json=as_json)


def _query(asked: dict[str, str | None]) -> Query:
    from plimsoll.audit.query import Query, statuses_from, time_from

    since, until, status = asked["since"], asked["until"], asked["status"]
    return Query(
        since=time_from(since, "--since") if since else None,
        until=time_from(until, "--until") if until else None,
        caller=asked["caller"],
        statuses=statuses_from(status) if status else (),
        model=asked["model"],
        version=asked["version"],
    )


def _logs(services: tuple[str, ...], file: Path, logs: tuple[Path, ...]) -> list[tuple[str, list[Path], Path | None]]:
    """The files of each service's log, and the directory of its keys. Raises FileError."""
    from plimsoll.audit.files import LOG, files_of
    from plimsoll.errors import FileError

    if logs and len(services) > 1:
        raise click.UsageError("--log goes with one service")
    if logs:
        name = services[0] if services else logs[-1].absolute().parent.name
        try:
            keys = application_state(file, LOCAL).audit_keys / name
        except FileError:
            keys = None
        return [(name, list(logs), keys)]
    state = application_state(file, LOCAL)
    named = list(services) or sorted(
        path.parent.name for path in state.service_logs.glob(f"*/{LOG}*") if path.suffix != ".head"
    )
    if not named:
        hint = "services keep one with `telemetry: {audit: true}` in the application file"
        raise FileError("no service has an audit log here", where=str(state.service_logs), hint=hint)
    return [(name, files_of(state.service_logs / name / LOG), state.audit_keys / name) for name in dict.fromkeys(named)]
