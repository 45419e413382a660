"""`plimsoll tenant`: tenants of a cluster, each behind walls of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from plimsoll.cli import completion
from plimsoll.cli.options import json_option, print_json
from plimsoll.cli.rows import print_rows
from plimsoll.cli.terminal import one_line
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.kubernetes.api import Api, Manifest
    from plimsoll.tenants.facts import TenantFacts
    from plimsoll.tenants.standing import Standing
    from plimsoll.tenants.tenant import Tenant

Command = TypeVar("Command", bound=Callable[..., object])
_HOURS = 24 * 30


def _target_option(function: Command) -> Command:
    return click.option(
        "--target",
        required=True,
        metavar="CONTEXT",
        shell_complete=completion.targets,
        help="Kubeconfig context, or lab.",
    )(function)


@click.group("tenant")
def command() -> None:
    """Tenants of a cluster: a namespace each, with walls around it that its own people cannot move."""


@command.command("create")
@click.argument("name")
@_target_option
@click.option("--cpu", default="", metavar="QUANTITY", help="Processors that its pods request together.")
@click.option("--memory", default="", metavar="QUANTITY", help="Memory that its pods request together.")
@click.option("--pods", type=click.IntRange(1), help="Pods at the same time.")
@click.option("--accelerators", type=click.IntRange(0), default=0, show_default=True, help="Accelerators of each kind.")
@click.option("--user", "users", multiple=True, help="A user with the tenant's rights; repeatable.")
@click.option("--group", "groups", multiple=True, help="A group with the tenant's rights; repeatable.")
@click.option("--queue", is_flag=True, help="Give it a queue of Kueue's with its processors, memory and accelerators.")
@click.option(
    "--images", multiple=True, metavar="HOST/PATH", help="Let its pods have images from here alone; repeatable."
)
@click.option(
    "--pull-secret",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Docker config.json with which nodes pull its images.",
)
@click.option("--egress", multiple=True, metavar="CIDR[:PORT]", help="A network that its pods reach; repeatable.")
@click.option(
    "--cluster-registry", "registry", is_flag=True, help="Let it use the registry that the cluster publishes."
)
@click.option("--dry-run", is_flag=True, help="Print the objects, and write nothing.")
@json_option
def create(
    name: str,
    target: str,
    cpu: str,
    memory: str,
    pods: int | None,
    accelerators: int,
    users: tuple[str, ...],
    groups: tuple[str, ...],
    queue: bool,
    images: tuple[str, ...],
    pull_secret: Path | None,
    egress: tuple[str, ...],
    registry: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the tenant NAME, or have it as the options say.

    The options are all that it is: what an earlier call said and this one does not is taken away.
    """
    from plimsoll.tenants import facts as cluster_facts
    from plimsoll.tenants import owning
    from plimsoll.tenants.manifests import manifests
    from plimsoll.tenants.manifests import pull_secret as secret_manifest
    from plimsoll.tenants.tenant import Tenant, require_valid

    tenant = Tenant(
        name=name,
        cpu=cpu,
        memory=memory,
        pods=pods,
        accelerators=accelerators,
        users=tuple(dict.fromkeys(users)),
        groups=tuple(dict.fromkeys(groups)),
        queue=queue,
        images=tuple(dict.fromkeys(images)),
        egress=tuple(dict.fromkeys(egress)),
        registry=registry,
        pulls=pull_secret is not None,
    )
    require_valid(tenant)
    content = _docker_config(pull_secret) if pull_secret is not None else ""
    api = _api(target)
    facts = cluster_facts.look(api)
    cluster_facts.require_fitting(tenant.queue, tenant.registry, facts, target)
    wanted = manifests(tenant, facts)
    if dry_run:
        _print_manifests(wanted, as_json=as_json, has_secret=bool(content))
        return
    if content:
        wanted.insert(1, secret_manifest(tenant, content))
    changes = owning.carry_out(api, name, wanted)
    if as_json:
        from msgspec import to_builtins

        print_json({"tenant": name, "changes": to_builtins(changes), "notes": list(_notes(tenant, facts))})
        return
    for each in changes:
        click.echo(one_line(str(each)))
    if not changes:
        click.echo(f"the tenant {name} stands as it is asked for; nothing was changed")
    for note in _notes(tenant, facts):
        click.echo(f"note: {note}", err=True)
    click.echo(f"its people come in with: plimsoll tenant kubeconfig {name} --target {target} --output FILE", err=True)


@command.command("list")
@_target_option
@json_option
def list_tenants(target: str, as_json: bool) -> None:
    """List the tenants of a cluster, with what they use of what they have."""
    from plimsoll.tenants.standing import tenants

    found = tenants(_api(target))
    if as_json:
        print_json({"tenants": [_as_json(each) for each in found]})
        return
    if not found:
        click.echo("there are no tenants", err=True)
        return
    rows = [("TENANT", "USES", "PEOPLE"), *((each.name, _used(each), _people(each)) for each in found)]
    print_rows([tuple(map(one_line, row)) for row in rows])


@command.command("show")
@click.argument("name")
@_target_option
@json_option
def show(name: str, target: str, as_json: bool) -> int:
    """Print what the tenant NAME is and uses, and what is not as it should be; end with 1 when something is not."""
    from plimsoll.tenants import facts as cluster_facts
    from plimsoll.tenants import owning
    from plimsoll.tenants.standing import problems, standing
    from plimsoll.tenants.tenant import OBJECT, require_name

    require_name(name)
    api = _api(target)
    namespace = owning.require_tenant(api, name)
    found = standing(namespace, api.find("v1", "ResourceQuota", OBJECT, name))
    spoilt = "the record of what was asked for is spoilt; make it again with plimsoll tenant create"
    wrong = problems(api, found.asked, cluster_facts.look(api)) if found.asked is not None else [spoilt]
    if as_json:
        print_json({**_as_json(found), "problems": wrong})
        return 1 if wrong else 0
    click.echo(one_line(f"{found.name}, since {found.since}{', is being deleted' if found.ending else ''}"))
    for line in (f"uses    {_used(found)}", f"people  {_people(found)}", *_walls(found)):
        click.echo(one_line(line))
    for each in wrong:
        click.echo(one_line(f"wrong   {each}"))
    return 1 if wrong else 0


@command.command("delete")
@click.argument("name")
@_target_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def delete(name: str, target: str, yes: bool, as_json: bool) -> None:
    """Delete the tenant NAME: its namespace with all that runs in it, its rights, its queue and its rules."""
    from msgspec import to_builtins

    from plimsoll.tenants import owning
    from plimsoll.tenants.tenant import require_name

    require_name(name)
    api = _api(target)
    if not yes:
        _ask(api, name, target)
    changes: list[owning.Change] = []

    def tell(change: owning.Change) -> None:
        changes.append(change)
        if not as_json:
            click.echo(one_line(str(change)))

    owning.delete(api, name, tell)
    if as_json:
        print_json({"tenant": name, "changes": to_builtins(changes)})


@command.command("kubeconfig")
@click.argument("name")
@_target_option
@click.option("--hours", type=click.IntRange(1, _HOURS), default=12, show_default=True, help="Hours until it ends.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else it is printed.")
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory to make for the tenant's people: the kubeconfig, and a signing key of their own.",
)
def kubeconfig(name: str, target: str, hours: int, output: Path | None, home: Path | None) -> None:
    """Print a kubeconfig with the rights of the tenant NAME and no other, for some hours."""
    from plimsoll.tenants import access, owning
    from plimsoll.tenants.tenant import require_name

    require_name(name)
    if output is not None and home is not None:
        raise FileError("--output and --home are two places for one file", hint="give one of them")
    api = _api(target)
    owning.require_tenant(api, name)
    bearer, end = access.token(api, name, hours * 3600)
    text = access.kubeconfig(api, name, bearer)
    if home is not None:
        _make_home(home, text)
    elif output is not None:
        _write_private(output, text)
        click.echo(f"{output} is a kubeconfig with the context {name}, until {end}", err=True)
    else:
        click.echo(text, nl=False)


def _api(target: str) -> Api:
    from plimsoll.kubernetes.api import Api

    found = Api(target)
    click.get_current_context().call_on_close(found.close)
    return found


def _docker_config(path: Path) -> str:
    """A Docker config.json in base64, as a Secret has it. Raises FileError for a file that is none."""
    import base64

    import msgspec

    from plimsoll.decoding import UNREADABLE

    content = path.read_bytes()
    hint = "it is the config.json of `docker login`, with the logins in it and not in a credential helper"
    try:
        found = msgspec.json.decode(content)
    except UNREADABLE as error:
        raise FileError(f"this is no Docker config.json: {error}", where=str(path), hint=hint) from error
    if not isinstance(found, dict) or not isinstance(found.get("auths"), dict) or not found["auths"]:
        raise FileError("this Docker config.json has no login", where=str(path), hint=hint)
    return base64.b64encode(content).decode()


def _print_manifests(wanted: Sequence[Manifest], *, as_json: bool, has_secret: bool) -> None:
    import yaml

    if as_json:
        print_json({"objects": list(wanted)})
    else:
        click.echo(yaml.safe_dump_all(wanted, sort_keys=False), nl=False)
    if has_secret:
        click.echo("the Secret with which nodes pull images is left out: it has credentials", err=True)


def _notes(tenant: Tenant, facts: TenantFacts) -> list[str]:
    """What the cluster cannot hold, and what the tenant will miss."""
    found = []
    if not facts.policies:
        found.append(
            "the cluster knows no ValidatingAdmissionPolicy (Kubernetes 1.30): the tenant's people can remove their "
            "own network policy, and --images is not held"
        )
    if not tenant.registry and not tenant.egress:
        found.append(
            "its pods reach each other and no registry: steps that push results need --cluster-registry, or --egress "
            "with the registry's address"
        )
    if tenant.accelerators and not facts.accelerators and not facts.classes:
        found.append(
            "the cluster has no accelerators now: make the tenant again once it has, so that a quota counts them"
        )
    if not tenant.cpu and not tenant.memory:
        found.append("it has no quota of processors and memory: --cpu and --memory give it one")
    return found


def _as_json(found: Standing) -> dict[str, object]:
    from msgspec import to_builtins

    return {
        "name": found.name,
        "since": found.since,
        "ending": found.ending,
        "asked": to_builtins(found.asked),
        "quota": {name: {"used": used, "hard": most} for name, (used, most) in found.quota.items()},
    }


def _used(found: Standing) -> str:
    if found.ending:
        return "is being deleted"
    words = [f"{name.removeprefix('requests.')} {used} of {most}" for name, (used, most) in found.quota.items()]
    return ", ".join(words) or "without a quota"


def _people(found: Standing) -> str:
    if found.asked is None:
        return "unknown: its record is spoilt"
    groups = [f"group {each}" for each in found.asked.groups]
    return ", ".join([*found.asked.users, *groups]) or "its kubeconfig alone"


def _walls(found: Standing) -> list[str]:
    asked = found.asked
    if asked is None:
        return []
    reached = ["its own pods", "names", *(["the cluster's registry"] if asked.registry else []), *asked.egress]
    return [f"reaches {', '.join(reached)}", f"images  {', '.join(asked.images) or 'any'}"]


def _ask(api: Api, name: str, target: str) -> None:
    """Say what would go, and have it confirmed. Raises FileError where nobody can be asked."""
    from plimsoll.tenants import owning

    if api.find("v1", "Namespace", name) is not None or not owning.leftovers(api, name):
        owning.require_tenant(api, name)
    kinds = (("v1", "Pod", "pods"), ("v1", "Service", "services"), ("v1", "PersistentVolumeClaim", "volume claims"))
    counted = [(len(api.list(version, kind, name)), words) for version, kind, words in kinds]
    held = ", ".join(f"{count} {words}" for count, words in counted if count)
    told = f"the tenant {name} on {target} would go with its namespace and all in it" + (f": {held}" if held else "")
    if not sys.stdin.isatty():
        raise FileError(told, hint=f"plimsoll tenant delete {name} --target {target} --yes deletes it")
    click.echo(told, err=True)
    click.confirm("Delete it?", abort=True, err=True)


def _make_home(home: Path, text: str) -> None:
    from plimsoll.signing.keys import KeyRing

    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_private(home / "kubeconfig", text)
    # As it lies below XDG_CONFIG_HOME.
    key = KeyRing(home / "plimsoll" / "keys").signer().public_key.keyid
    click.echo(f"export KUBECONFIG={home.absolute() / 'kubeconfig'} XDG_CONFIG_HOME={home.absolute()}")
    click.echo(f"with these, plimsoll acts with the tenant's rights and signs with the key {key[:16]}", err=True)


def _write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone reads, also when it is there already."""
    import os

    fresh = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
