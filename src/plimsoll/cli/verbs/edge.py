"""`plimsoll edge`: devices of a group, and the agent that runs on each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import application_file, file_option, json_option, print_json
from plimsoll.cli.terminal import one_line
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.edge.documents import Fleet, WantedService
    from plimsoll.edge.owner import Owner
    from plimsoll.edge.rollout import Ring
    from plimsoll.registry.models import ModelRegistry

AGENT_DIRECTORY = Path("/var/lib/plimsoll-edge")


@click.group("edge")
def command() -> None:
    """Devices at the edge: enroll them, roll releases out to them, and see what they run."""


@command.command("enroll")
@click.argument("group")
@click.argument("device")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label of the device; repeatable.")
@file_option
@json_option
def enroll(group: str, device: str, labels: tuple[str, ...], file: Path, as_json: bool) -> None:
    """Print a token by which DEVICE joins GROUP. It can be used once, within 24 hours."""
    token = _owner(file, group).enroll(device, _labels(labels))
    if as_json:
        print_json({"group": group, "device": device, "token": token})
        return
    click.echo(token)
    click.echo("on the device, with this token in a file: plimsoll edge agent --token-file FILE", err=True)


@command.command("list")
@click.argument("group")
@file_option
@json_option
def list_devices(group: str, file: Path, as_json: bool) -> None:
    """List the devices of GROUP: what they serve, and when they were heard."""
    from plimsoll.cli.fleet_table import device_lines
    from plimsoll.edge.owner import encoded

    fleet = _owner(file, group).listen()
    if as_json:
        print_json(encoded(fleet))
        return
    for line in device_lines(fleet):
        click.echo(one_line(line))


@command.command("show")
@click.argument("group")
@click.argument("device")
@file_option
@json_option
def show(group: str, device: str, file: Path, as_json: bool) -> None:
    """Print what DEVICE has told last."""
    from plimsoll.cli.fleet_table import report_lines
    from plimsoll.edge.owner import encoded

    fleet = _owner(file, group).listen()
    if device not in fleet.devices:
        hint = f"the devices are: {', '.join(fleet.devices) or 'none'}"
        raise FileError(f"there is no device '{device}' in {group}", hint=hint)
    if as_json:
        print_json(encoded(fleet)["devices"][device])
        return
    for line in report_lines(fleet, fleet.devices[device]):
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

    found = list(_owner(file, group).collect(output))
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


@command.command("revoke")
@click.argument("group")
@click.argument("device")
@file_option
def revoke(group: str, device: str, file: Path) -> None:
    """Take DEVICE out of GROUP: at its next sync it ends its services and removes its models."""
    _owner(file, group).revoke(device)
    click.echo(f"{device} is revoked; revoke its login at the registry too, since it can pull what it may pull")


@command.command("rollout")
@click.argument("group")
@click.option("--once", is_flag=True, help="Look once and end, for a timer; 3 says that the rollout is under way.")
@file_option
@json_option
def rollout(group: str, once: bool, file: Path, as_json: bool) -> int:
    """Send the newest accepted models to GROUP, ring by ring; end with 1 when devices take the release back."""
    from plimsoll.cli.interrupts import catch_stop_signals
    from plimsoll.edge.owner import encoded
    from plimsoll.waits import waiting_for

    owner = _owner(file, group)
    owner.release(*_wanted(file, group))
    caught = catch_stop_signals()
    said = ""
    while True:
        fleet, ring = owner.advance()
        line = _rollout_line(fleet, ring)
        if line != said:
            click.echo(one_line(line), err=as_json)
            said = line
        done = fleet.rollout is None or fleet.rollout.phase != "waiting"
        if done or once or caught:
            break
        sync = fleet.state.sync if fleet.state else 60.0
        with waiting_for(f"the devices of {group}"):
            _sleep(min(sync, 10.0), caught)
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
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=None,
    help="A file with the token of `plimsoll edge enroll`, at the first start.",
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
    identity = disk.enrol(decode_token(token_file.read_text(encoding="utf-8"))) if token_file else disk.identity()
    if identity is None:
        hint = "give it the token of `plimsoll edge enroll` with --token-file"
        raise FileError("this device is not enrolled", where=str(directory), hint=hint)
    caught = catch_stop_signals()
    with disk.alone():
        say_to_stderr(f"{identity.device} of {identity.group}, at {identity.place}")
        Agent(disk, identity, say_to_stderr).run(lambda: bool(caught))


def _owner(path: Path, group: str) -> Owner:
    """The owner's side of a group of the file. Raises FileError for a group that the file does not have."""
    from plimsoll.edge.owner import Owner
    from plimsoll.kinds.edge import EDGES
    from plimsoll.kinds.table import KINDS
    from plimsoll.signing.keys import KeyRing
    from plimsoll.state.directory import StateDirectory

    file = application_file(path)
    loaded = KINDS.load(file)
    KINDS.check(loaded, None)
    edges = EDGES.of(loaded.application)
    if group not in edges:
        hint = f"the groups are: {', '.join(edges) or 'none; add spec.edges'}"
        raise FileError(f"there is no group '{group}'", where=str(file), hint=hint)
    state = StateDirectory(file.absolute().parent)
    state.make()
    owner = Owner(state.root, group, edges[group], KeyRing.default(), lambda line: click.echo(one_line(line), err=True))
    click.get_current_context().call_on_close(owner.close)
    return owner


def _wanted(path: Path, group: str) -> tuple[list[WantedService], ModelRegistry]:
    """The services of a group with their models pushed, and where the models are."""
    from plimsoll.edge.releasing import wanted_services
    from plimsoll.engine.policies.admission import require_admitted
    from plimsoll.kinds.edge import EDGES
    from plimsoll.kinds.service import SERVICES
    from plimsoll.kinds.table import KINDS
    from plimsoll.state.directory import StateDirectory
    from plimsoll.targets.models import model_registry

    file = application_file(path)
    application = KINDS.load(file).application
    models = model_registry(StateDirectory(file.absolute().parent))
    edge, services = EDGES.of(application)[group], SERVICES.of(application)
    versions = [models.find(services[name].leading) for name in edge.services]
    require_admitted(StateDirectory(file.absolute().parent), versions, f"the release for {group}", file)
    return list(wanted_services(edge, services, models)), models


def _rollout_line(fleet: Fleet, ring: Ring | None) -> str:
    rollout = fleet.rollout
    if rollout is None:
        return "no release is under way"
    ring_of_all = f"ring {rollout.ring + 1} of {len(rollout.rings)}"
    head = f"release {rollout.release}, {ring_of_all} ({rollout.rings[rollout.ring]:.0%} of the devices)"
    told = f"{head}: {ring.line()}" if ring else head
    return told if rollout.phase == "waiting" else f"{told}; {rollout.phase}: {rollout.reason}"


def _sleep(seconds: float, caught: list[int]) -> None:
    import time

    end = time.monotonic() + seconds
    while time.monotonic() < end and not caught:
        time.sleep(0.2)


def _labels(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise FileError(f"'{each}' is no label", hint="write --label site=north")
        found[name] = value
    return found
