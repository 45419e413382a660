"""An application that runs by itself: its image, its rights, and the objects that run it, checked by the API server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.workspace import NamedSource
from plimsoll.errors import FileError, TargetError
from plimsoll.kinds.dataset import Fetch
from plimsoll.kinds.table import KINDS
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.planning.steps import Plan
from plimsoll.targets.kubernetes.cron import require_schedule
from plimsoll.targets.kubernetes.images import Images
from plimsoll.targets.kubernetes.manifests.schedule import Scheduled, run_arguments, schedule_objects
from plimsoll.targets.kubernetes.namespace import is_made, namespace_manifest
from plimsoll.targets.options import TargetOptions

MOST_FILES = 10_000
"""Files of an application in its image."""


def scheduled_objects(
    file: ApplicationFile,
    plan: Plan,
    schedule: str,
    *,
    api: Api,
    cluster: Cluster,
    images: Images,
    options: TargetOptions,
    settings: Sequence[str],
    steps: Sequence[str],
    roles: Callable[[str], Sequence[Manifest]],
) -> list[Manifest]:
    """Namespace (unless it is others'), account, roles, disk and CronJob. The image is pushed.

    `roles` gives the rights of the plan to an account. Raises FileError for a schedule or a file that does not fit,
    TargetError with what the API server says against it.
    """
    require_schedule(schedule)
    name = os.path.relpath(file.path, file.directory)
    image, workdir = images.of_application(application_files(file, plan), sorted(_extras(plan)))
    given = list(_options(options, images.base(), cluster, settings))
    scheduled = Scheduled(
        application=file.application.name,
        namespace=cluster.namespace,
        schedule=schedule,
        image=image,
        workdir=workdir,
        arguments=(*steps, *run_arguments(name, cluster.namespace, given)),
        architectures=images.architectures(),
    )
    there = api.find("v1", "Namespace", cluster.namespace)
    ours = there is None or is_made(scheduled.application, there)
    namespace = [namespace_manifest(scheduled.application, cluster.namespace)] if ours else []
    objects = schedule_objects(scheduled)
    if there is not None:
        _require_taken(api, objects)
    return [*namespace, objects[0], *roles(scheduled.account), *objects[1:]]


def application_files(file: ApplicationFile, plan: Plan) -> list[str]:
    """What a run reads of the application's directory: the file, code, requirements, and sources that are paths.

    Of sources it reads those of every part: of data, of models that are brought, and the files of assistants. Raises
    FileError for one outside of the directory, which a run in a pod would not find in its place.
    """
    found = {os.path.relpath(file.path, file.directory)}
    for step in plan.steps:
        kinds = {"code", "environment"} if step.verb != Fetch.verb else set()
        named = [part.name for part in step.ingredients if part.kind in kinds]
        found.update(name for name in named if (file.directory / name).is_file())
    for kind in KINDS:
        for name, part in kind.of(file.application).items():
            for each in kind.sources(name, part):
                found.update(_inside(file, each) if "://" not in each.source else ())
    if len(found) > MOST_FILES:
        hint = "let the sources be addresses, such as s3://, which the run fetches"
        raise FileError(f"the application has more than {MOST_FILES} files", where=str(file.path), hint=hint)
    return sorted(found)


def _inside(file: ApplicationFile, named: NamedSource) -> Iterator[str]:
    source = file.directory / named.source
    for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
        if not path.is_file():
            continue
        name = os.path.relpath(path, file.directory)
        if name.startswith(".."):
            hint = "copy it below the application file, or name an address"
            text = f"the source {name} is outside of the application's directory"
            raise file.error(text, hint, *named.at)
        yield name


def _extras(plan: Plan) -> set[str]:
    return {extra for step in plan.steps for extra in step.work.needed_extras()}


def _options(options: TargetOptions, base: str, cluster: Cluster, settings: Sequence[str]) -> Iterator[tuple[str, str]]:
    if options.registry:
        yield "--registry", options.registry
    if options.base or base != cluster.base:
        yield "--base", base
    for each in options.prefer:
        yield "--prefer", each
    for each in settings:
        yield "--set", each


def _require_taken(api: Api, objects: Sequence[Manifest]) -> None:
    """Have the API server look at the objects. One that is there already is applied to, and not made again."""
    for manifest in objects:
        try:
            api.create(manifest, dry_run=True)
        except ApiError as error:
            if error.status == 409 or error.lacks is not None:
                # Whoever applies the manifests may be somebody else, with other rights.
                continue
            what = f"{manifest['kind']}/{manifest['metadata']['name']}"
            raise TargetError(f"the API server refuses {what}: {error.message}", where=api.target) from error
