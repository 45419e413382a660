"""What a model's features look like in training, made once in a pod beside the data, for servers that watch it."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.errors import TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.kinds.serve import Serve
from plimsoll.planning.steps import InputFile, Step, WorkerResources
from plimsoll.runtime.pod_task import PodTask
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.targets.attempt import AttemptOutcome
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterAttempt, ClusterContext
from plimsoll.targets.kubernetes.manifests import gang
from plimsoll.targets.kubernetes.manifests.groups import Watched
from plimsoll.targets.kubernetes.manifests.models import with_models
from plimsoll.targets.kubernetes.manifests.pod import task_pod
from plimsoll.targets.kubernetes.pod_tasks import given
from plimsoll.targets.kubernetes.watching import remove
from plimsoll.targets.kubernetes.work.pods import carry, image_that_reads
from plimsoll.targets.services import table_id


class Referenced(Struct, frozen=True, kw_only=True):
    """A version whose live data are compared: what its rows are computed with, and the accuracy that it promised.

    `models` are references by the directory in which their files are to be. `code` is set for the user's own code, with
    its identity and the image that has it.
    """

    name: str
    version: str
    digest: str
    models: Mapping[str, str]
    promised: float | None = None
    code: ModelFile | None = None
    identity: str = ""
    image: str = ""


def make_references(
    attempt: ClusterAttempt[Serve], table: InputFile, versions: Iterable[Referenced]
) -> Generator[Observation, None, AttemptOutcome | None]:
    """Have the reference of every version in the registry; gives the step's outcome when one cannot be made."""
    for version in versions:
        part = attempt.part(_step(attempt.step, table, version))
        if attempt.context.results.find(part.step.key) is not None:
            continue
        workload = _workload(part, table, version)
        problem = yield from carry(part, workload)
        if problem is not None:
            reason = f"the drift reference of {version.name}@{version.version}: {problem.reason}"
            return replace(problem, reason=reason) if problem.state == "failed" else problem
        remove(part, workload)
    return None


def watched(
    step: Step[Serve], table: InputFile, versions: Iterable[Referenced], context: ClusterContext
) -> Mapping[str, Watched]:
    """Versions by their number with where their reference is. Raises TargetError for one that has none yet."""
    found = {}
    for version in versions:
        known = context.results.find(_step(step, table, version).key)
        if known is None:
            hint = f"make it first: plimsoll run --target {context.cluster.target}"
            named = f"{version.name}@{version.version}"
            raise TargetError(f"the drift reference of {named} is not in the registry", hint=hint)
        reference = context.results.exactly(known.digest)
        found[version.version] = Watched(reference=reference, promised=version.promised, sealed=context.results.secret)
    return found


def _step(step: Step[Serve], table: InputFile, version: Referenced) -> Step[Serve]:
    """The part of a service's step that makes one reference. It is the same for every service of model and table."""
    data = table_id(table, version.identity)
    key = hashlib.sha256(f"reference\n{version.digest}\n{data}".encode()).hexdigest()
    return replace(step, key=key, resources=WorkerResources(), retries=0)


def _workload(attempt: ClusterAttempt[Serve], table: InputFile, version: Referenced) -> gang.Workload:
    step, context = attempt.step, attempt.context
    code: tuple[str, ...] = ()
    if version.code is not None:
        code = ("--code", msgspec.json.encode(ServiceFile(models=(version.code,))).decode())
    data = table_id(table, version.identity)
    task = PodTask(
        action="reference",
        step=step.name,
        key=step.key,
        inputs=given((table,), context.results, mount=context.cluster.mounts_images and not context.results.secret),
        result=context.results.for_pods(step.key),
        sealed=context.results.secret,
        arguments=("--name", version.name, "--digest", version.digest, "--data", data, *code),
    )
    labels = names.of_step(context.application, step)
    image = version.image or image_that_reads(table.file, context, "drift")
    pod = task_pod(task, step, image, context.cluster, labels, context.images.architectures())
    pod = with_models(pod, version.models, image, context.application)
    return gang.workload(context.chosen["gang"], attempt.name, step, pod, labels, context.cluster)
