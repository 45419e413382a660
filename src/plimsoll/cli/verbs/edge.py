"""`plimsoll edge`: devices of a group, and the agent that runs on each."""

from __future__ import annotations

from pathlib import Path

import click

from plimsoll.cli.edge_groups import EdgeGroups, owner_of
from plimsoll.cli.edge_manifests import Placed, print_manifests
from plimsoll.cli.options import file_option, json_option, print_json
from plimsoll.cli.terminal import one_line
from plimsoll.errors import FileError

AGENT_DIRECTORY = Path("/var/lib/plimsoll-edge")
MANY = 500
"""Devices of which nobody asks more often than they tell something new."""


@click.group("edge")
def command() -> None:
    """Devices at the edge: enroll them, roll releases out to them, and see what they run."""


@command.command("enroll")
@click.argument("group")
@click.argument("device")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label of the device; repeatable.")
@click.option(
    "--manifests", is_flag=True, help="Print objects for a cluster in place of the token: kubectl apply -f -."
)
@click.option("--image", default="", metavar="IMAGE", help="With --manifests: an image that has plimsoll[serve].")
@click.option("--namespace", default="default", show_default=True, help="With --manifests: their namespace.")
@click.option("--node", default="", metavar="NAME", help="With --manifests: the node on which the device is.")
@click.option(
    "--storage", default="2Gi", show_default=True, metavar="SIZE", help="With --manifests: the device's disk."
)
@click.option("--storage-class", default="", metavar="NAME", help="With --manifests: the class of the disk.")
@file_option
@json_option
def enroll(
    group: str,
    device: str,
    labels: tuple[str, ...],
    manifests: bool,
    image: str,
    namespace: str,
    node: str,
    storage: str,
    storage_class: str,
    file: Path,
    as_json: bool,
) -> None:
    """Print a token by which DEVICE joins GROUP. It can be used once, within 24 hours.

    A device has the labels that the group asks for, and those that are given. With --manifests, it is a Deployment of a
    small cluster such as K3s, with the token in a Secret.
    """
    from plimsoll.edge.labels import joined_labels, parsed_labels

    groups = EdgeGroups(file)
    groups.require(group)
    joined = joined_labels(group, parsed_labels(labels), groups.selectors)
    if manifests:
        placed = Placed(image=image, namespace=namespace, node=node, storage=storage, storage_class=storage_class)
        placed.check(device)
        print_manifests(groups, group, device, groups.owner(group).enroll(device, joined), placed)
        return
    token = groups.owner(group).enroll(device, joined)
    if as_json:
        print_json({"group": group, "device": device, "labels": joined, "token": token})
        return
    click.echo(token)
    click.echo("on the device, with this token in a file: plimsoll edge agent --token-file FILE", err=True)


@command.command("label")
@click.argument("group")
@click.argument("device")
@click.argument("words", nargs=-1, required=True, metavar="NAME=VALUE|NAME-...")
@file_option
@json_option
def label(group: str, device: str, words: tuple[str, ...], file: Path, as_json: bool) -> None:
    """Give DEVICE of GROUP labels, or take them away: it goes to the group that asks for the labels it has then."""
    groups = EdgeGroups(file)
    groups.require(group)
    labels, now = groups.together().label(group, device, words)
    if as_json:
        print_json({"device": device, "group": now, "labels": labels})
        return
    told = ", ".join(f"{name}={value}" for name, value in labels.items()) or "no label"
    went = f" and goes from {group} to {now} at its next sync" if now != group else ""
    click.echo(one_line(f"{device} has {told}{went}"))


@command.command("list")
@click.argument("group", required=False)
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=VALUE", help="Only devices with this label; repeatable."
)
@file_option
@json_option
def list_devices(group: str | None, labels: tuple[str, ...], file: Path, as_json: bool) -> None:
    """List the devices of GROUP, or of all groups: what they serve, and when they were heard."""
    from plimsoll.cli.fleet_table import device_lines
    from plimsoll.edge.labels import parsed_labels
    from plimsoll.edge.owner import chosen, encoded

    groups, wanted = EdgeGroups(file), parsed_labels(labels)
    names = [group] if group else groups.names
    fleets = [chosen(groups.owner(each).listen(), wanted) for each in names]
    if as_json:
        print_json(encoded(fleets[0]) if group else {"groups": [encoded(each) for each in fleets]})
        return
    for fleet in fleets:
        if not group:
            click.echo(f"{fleet.group}:")
        for line in device_lines(fleet, wanted):
            click.echo(one_line(line if group else f"  {line}"))


@command.command("show")
@click.argument("group")
@click.argument("device")
@file_option
@json_option
def show(group: str, device: str, file: Path, as_json: bool) -> None:
    """Print what DEVICE has told last."""
    from msgspec import to_builtins

    from plimsoll.cli.fleet_table import report_lines
    from plimsoll.edge.drift_view import read_drift
    from plimsoll.edge.owner import encoded

    groups = EdgeGroups(file)
    fleet = groups.owner(group).listen()
    if device not in fleet.devices:
        hint = f"the devices are: {', '.join(fleet.devices) or 'none'}"
        raise FileError(f"there is no device '{device}' in {group}", hint=hint)
    drift = read_drift(groups.state_root, group)
    if as_json:
        print_json({**encoded(fleet)["devices"][device], "drift": to_builtins(drift.devices.get(device, ()))})
        return
    for line in report_lines(fleet, fleet.devices[device], drift):
        click.echo(one_line(line))


@command.command("logs")
@click.argument("group")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Directory to write to; what is there is not fetched again.",
)
@file_option
@json_option
def logs(group: str, output: Path, file: Path, as_json: bool) -> int:
    """Fetch the access and audit logs that the devices of GROUP have sent, each file once."""
    from msgspec import to_builtins

    found = list(owner_of(file, group).collect(output))
    if as_json:
        print_json({"group": group, "devices": to_builtins(found)})
    else:
        for each in found:
            click.echo(one_line(f"{each.device}: {each.files} files, {each.lines} lines"))
            if each.missing:
                click.echo(one_line(f"  {len(each.missing)} files were dropped by the device"), err=True)
            for refused in each.refused:
                click.echo(one_line(f"  refused: {refused}"), err=True)
    return 1 if any(each.refused for each in found) else 0


@command.command("drift")
@click.argument("group")
@click.option(
    "--logs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="The directory of `plimsoll edge logs`.",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='Late labels, a line each: {"id": "request-7", "label": "worn"}.',
)
@click.option(
    "--hours", type=click.FloatRange(min=0.01, max=100_000), default=24.0, show_default=True, help="How far back."
)
@file_option
@json_option
def drift(group: str, logs: Path, labels: Path | None, hours: float, file: Path, as_json: bool) -> None:
    """Compare what the devices of GROUP have answered with training: each device, and all together."""
    from msgspec import to_builtins

    from plimsoll.cli.edge_drift import drift_lines, judged

    groups = EdgeGroups(file)
    found, notes = judged(groups, group, logs, labels, hours)
    for note in notes:
        click.echo(one_line(note), err=True)
    if as_json:
        print_json({"group": group, "notes": notes, **to_builtins(found)})
        return
    for line in drift_lines(found):
        click.echo(one_line(line))


@command.command("revoke")
@click.argument("group")
@click.argument("device")
@file_option
def revoke(group: str, device: str, file: Path) -> None:
    """Take DEVICE out of GROUP: at its next sync it ends its services and removes its models."""
    groups = EdgeGroups(file)
    groups.require(group)
    groups.together().revoke(group, device)
    click.echo(f"{device} is revoked; revoke its login at the registry too, since it can pull what it may pull")


@command.command("rollout")
@click.argument("group")
@click.option("--once", is_flag=True, help="Look once and end, for a timer; 3 says that the rollout is under way.")
@file_option
@json_option
def rollout(group: str, once: bool, file: Path, as_json: bool) -> int:
    """Send the newest accepted models to GROUP, ring by ring; end with 1 when devices take the release back.

    Devices whose labels belong to another group, since the file was changed, go there first.
    """
    from plimsoll.cli.interrupts import catch_stop_signals
    from plimsoll.edge.owner import encoded
    from plimsoll.edge.rollout import rollout_line
    from plimsoll.waits import waiting_for

    groups = EdgeGroups(file)
    owner = groups.owner(group)
    for moved in groups.together().assign():
        click.echo(one_line(moved), err=True)
    owner.release(*groups.wanted(group))
    caught = catch_stop_signals()
    said = ""
    while True:
        fleet, ring = owner.advance()
        line = rollout_line(fleet.rollout, ring)
        if line != said:
            click.echo(one_line(line), err=as_json)
            said = line
        done = fleet.rollout is None or fleet.rollout.phase != "waiting"
        if done or once or caught:
            break
        sync = fleet.state.sync if fleet.state else 60.0
        with waiting_for(f"the devices of {group}"):
            _sleep(sync if len(fleet.devices) > MANY else min(sync, 10.0), caught)
    if as_json:
        print_json(encoded(fleet))
    if caught:
        return 128 + caught[0]
    if not done:
        return 3
    return 1 if fleet.rollout is not None and fleet.rollout.phase == "stopped" else 0


@command.command("agent")
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=AGENT_DIRECTORY,
    show_default=True,
    help="Where the agent keeps its identity, state and models.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="A file with the token of `plimsoll edge enroll`, at the first start; it may be gone after that.",
)
@click.option("--unit", "print_unit", is_flag=True, help="Print a unit file for systemd, and end.")
def agent(directory: Path, token_file: Path | None, print_unit: bool) -> None:
    """Run on a device: take signed states, serve, and report. It goes on without a link."""
    from plimsoll.cli.interrupts import catch_stop_signals
    from plimsoll.edge.agent.agent import Agent, say_to_stderr
    from plimsoll.edge.agent.disk import AgentDisk
    from plimsoll.edge.tokens import decode_token

    if print_unit:
        import getpass
        import sys

        from plimsoll.edge.agent.unit import unit_file

        click.echo(unit_file(sys.executable, directory.absolute(), getpass.getuser()), nl=False)
        return
    disk = AgentDisk(directory.absolute())
    identity = disk.identity()
    if token_file is not None and (identity is None or token_file.exists()):
        identity = disk.enrol(decode_token(_token_in(token_file)))
    if identity is None:
        hint = "give it the token of `plimsoll edge enroll` with --token-file"
        raise FileError("this device is not enrolled", where=str(directory), hint=hint)
    caught = catch_stop_signals()
    with disk.alone():
        say_to_stderr(f"{identity.device} of {identity.group}, at {identity.place}")
        Agent(disk, identity, say_to_stderr).run(lambda: bool(caught))


def _token_in(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise FileError(f"the token cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError:
        hint = "copy the whole line that `plimsoll edge enroll` has printed"
        raise FileError("this is no enrolment token", where=str(path), hint=hint) from None


def _sleep(seconds: float, caught: list[int]) -> None:
    import time

    end = time.monotonic() + seconds
    while time.monotonic() < end and not caught:
        time.sleep(0.2)
