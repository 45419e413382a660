"""`python -m lab image`: builds images from a root file system, without a container engine."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from lab import layout, lifecycle, nodes
from lab.build.folders import cache_folder
from lab.cli.say import say
from lab.errors import LabError
from lab.images import archive, ray, store
from lab.images.names import REGISTRY, qualified_name
from lab.images.python import python_base


@click.group()
def image() -> None:
    """Build images and load them into every node."""


@image.command()
@click.argument("name")
@click.option(
    "--root",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder with the image's file system.",
)
@click.option("--entrypoint", default="", metavar="'WORD …'", help="The command that the image runs.")
@click.option("--user", default="", metavar="UID:GID", help="The user that runs the command. Default: root.")
@click.option("--load/--no-load", default=False, help="Also load the image into every node.")
def build(name: str, root: Path, entrypoint: str, user: str, load: bool) -> None:
    """Build the image NAME from a folder. The same files give the same digest.

    A NAME without a registry gets the lab's registry. A NAME without a tag gets 'latest'.
    """
    full = qualified_name(name)
    target = _archive_path(full)
    say(f"packing {root}")
    digest = archive.save(archive.Image((full,), {"": root}, tuple(shlex.split(entrypoint)), user=user), target)
    click.echo(f"{full}@{digest}")
    if load:
        _load(target)


@image.command("python")
@click.argument("name", required=False, default="")
@click.option("--load/--no-load", default=False, help="Also load the image into every node.")
def build_python(name: str, load: bool) -> None:
    """Build a base image of this machine's Python, called NAME or 'python:VERSION'. Pods run as nobody in it."""
    base = python_base(name)
    (full,) = base.names
    target = _archive_path(full)
    say("packing the interpreter, its standard library and a shell")
    digest = archive.save(base, target)
    say(f"the image is in {target}")
    click.echo(f"{full}@{digest}")
    if load:
        _load(target)


@image.command("ray")
@click.argument("name", required=False, default="")
@click.option("--load/--no-load", default=False, help="Also load the image into every node.")
def build_ray(name: str, load: bool) -> None:
    """Build an image of Ray on this machine's Python for the add-on kuberay, called NAME or 'ray:VERSION'."""
    say(f"installing Ray {ray.VERSION} from the package index, unless the cache has it")
    made = ray.ray_image(name)
    (full,) = made.names
    target = _archive_path(full)
    say("packing the image")
    digest = archive.save(made, target)
    click.echo(f"{full}@{digest}")
    if load:
        _load(target)


@image.command("load")
@click.argument("name_or_file")
def load_into_nodes(name_or_file: str) -> None:
    """Load an image into every node, now and later: a NAME that was built here, or an OCI or docker tar FILE."""
    path = Path(name_or_file)
    if path.is_file():
        _load(path.resolve())
        return
    built = _archive_path(qualified_name(name_or_file))
    if not built.exists():
        known = sorted(each.stem for each in built.parent.glob("*.tar"))
        raise LabError(
            f"'{name_or_file}' is neither a file nor an image built here; built images: {', '.join(known) or 'none'}; "
            f"'python -m lab image build {name_or_file} --root FOLDER' builds it"
        )
    _load(built)


def _archive_path(full_name: str) -> Path:
    plain = full_name.removeprefix(f"{REGISTRY}/").replace("/", "_").replace(":", "_")
    return cache_folder() / "built-images" / f"{plain}.tar"


def _load(file: Path) -> None:
    lifecycle.require_running()
    # The name of the copy changes with the content, so that a rebuilt image is loaded again. Nodes that are added later
    # find the copy even when the user's file is gone.
    kept = store.copy_into_lab(file)
    store.record_archives([kept])
    found = nodes.all_nodes()
    for node in found:
        store.load(kept, node)
    say(f"{len(found)} nodes have {file.name}; pods must use imagePullPolicy IfNotPresent or Never")


@image.command("list")
@click.argument("node_name", required=False)
def list_images(node_name: str | None) -> None:
    """List the names of the images on a node. Default: the first node."""
    found = nodes.named(node_name) if node_name else next(iter(nodes.all_nodes()), None)
    if found is None:
        raise LabError(f"{layout.FOLDER} has no nodes; 'python -m lab up' creates them")
    for name in store.image_names(found):
        if not name.startswith("sha256:"):
            click.echo(name)
