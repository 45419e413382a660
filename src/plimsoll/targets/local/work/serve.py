"""Starts a service and tests it with a real request; stops it again unless the run watches."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from plimsoll.errors import TargetError
from plimsoll.evidence.run_events import WorkerStarted
from plimsoll.files import replace_file
from plimsoll.kinds.serve import LOOPBACK, Serve, ServeResult
from plimsoll.planning.steps import Step
from plimsoll.runtime.outputs import files_in
from plimsoll.runtime.server.identities.settings import in_directory
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.runtime.server.tls.settings import in_directory as tls_in_directory
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.attempt import Progress, done, failed
from plimsoll.targets.local.assistants import assistant_service
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.own_code import service_alone, surroundings, version_file
from plimsoll.targets.local.ports import PORT_HINT, address_problem
from plimsoll.targets.local.servers import (
    OWN_CODE_LIMIT,
    READY_LIMIT,
    TESTED,
    Server,
    announce,
    changes_of,
    running_services,
    service_of,
    start_server,
)
from plimsoll.targets.local.watching import (
    drift_references,
    explanations_problem,
    observer_options,
    write_monitoring,
)
from plimsoll.targets.local.workers import worker_ended
from plimsoll.targets.models import version_for_use
from plimsoll.targets.predictors import own_code
from plimsoll.targets.services import service_file, shares_of

if TYPE_CHECKING:
    from plimsoll.registry.versions import ModelVersion
    from plimsoll.runtime.inference_check import Checked


def serve(attempt: LocalAttempt[Serve]) -> Progress:
    """Start and test the service; keep it running when the run watches."""
    work, context = attempt.work, attempt.context
    _require_free(attempt)
    versions, service = pinned_service(attempt.step, context.state, context.directory)
    references, problem = yield from drift_references(attempt, work, service)
    if problem:
        return failed(f"drift: {problem}")
    if problem := (yield from explanations_problem(attempt, work, service)):
        return failed(f"explain: {problem}")
    write_monitoring(attempt.output, work)
    began = time.monotonic()
    server = _started(attempt, versions, service, references)
    kept, end = False, None
    try:
        yield attempt.seen(WorkerStarted(attempt=attempt.number, rank=0, pid=server.process.pid))
        limit = OWN_CODE_LIMIT if work.starts_processes else READY_LIMIT
        if problem := server.wait_until_ready(lambda: attempt.stopped, limit):
            return failed(problem)
        ready = time.monotonic() - began
        answered = server.prove(work, service.models[0].name)
        _remember(context.state, work.service, service)
        kept = context.watch
    finally:
        if not kept:
            end = server.stop() if server.url else None
            server.process.send(signal.SIGKILL)
    if kept:
        _keep(attempt, server, service.models[0])
    elif end is not None:
        yield attempt.seen(worker_ended(attempt.number, 0, end))
    return done(_result(attempt, service, answered, ready, server.url if kept else None))


def _require_free(attempt: LocalAttempt[Serve]) -> None:
    """Raise TargetError when a run that is to keep the service up finds it up already, or its port taken."""
    work, context = attempt.work, attempt.context
    if not context.watch:
        return
    if up := running_services(context.state).get(work.service):
        raise TargetError(f"plimsoll up keeps service {work.service} up already", where=up.url, lasting=True)
    if work.port and (taken := address_problem(work.host, work.port)):
        raise TargetError(taken, where=f"service {work.service}", hint=PORT_HINT, lasting=True)


def _started(
    attempt: LocalAttempt[Serve], versions: list[ModelVersion], service: ServiceFile, references: Mapping[str, Path]
) -> Server:
    """A server of the service, which is not ready yet."""
    work, context = attempt.work, attempt.context
    watch, up = context.watch, running_services(context.state).get(work.service)
    return start_server(
        context.warden,
        service,
        directory=attempt.directory,
        log=attempt.log(0),
        threads=max(1, int(attempt.step.resources.cores)),
        scale=work.scale if watch else None,
        # Not in the attempt's directory: the server reads the file again after that directory has moved. A server that
        # is only tested must leave alone what a service that is up reads.
        service_file=context.state.services / work.service / "service.json" if watch else None,
        token_file=context.state.token_file(work.service),
        changes=changes_of(context.state, work.searched) if watch else None,
        observers=observer_options(
            context.state, work, versions, service, references, attempt.directory if up is not None else None
        ),
        auth=in_directory(work.auth, context.directory.absolute()) if watch and work.auth else None,
        tls=tls_in_directory(work.tls, context.directory.absolute()) if watch and work.tls else None,
        hosts=work.hosts if watch else (),
        host=work.host if watch else LOOPBACK,
        port=work.port if watch else 0,
    )


def _keep(attempt: LocalAttempt[Serve], server: Server, first: ModelFile) -> None:
    """Have the run keep the server, and let others find it."""
    context, name = attempt.context, attempt.work.service
    announce(context.state, service_of(server, name, model=first.name, version=first.version, run=context.run))
    context.kept[name] = server


def _result(
    attempt: LocalAttempt[Serve], service: ServiceFile, answered: Checked, ready: float, url: str | None
) -> ServeResult:
    return ServeResult(
        model=", ".join(dict.fromkeys(f"{each.name}@{each.version}" for each in service.models)),
        digest=service.models[0].digest,
        seconds_to_ready=round(ready, 3),
        latency_ms=round(answered.seconds * 1000, 3),
        example=answered.example,
        path=attempt.work.example_path,
        url=url,
        outputs=files_in(attempt.output),
    )


def _remember(state: StateDirectory, name: str, service: ServiceFile) -> None:
    """Keep what was tested, for calls while the service is down."""
    place = state.services / name
    place.mkdir(parents=True, exist_ok=True)
    replace_file(place / TESTED, msgspec.json.encode(service))


def pinned_service(step: Step[Serve], state: StateDirectory, directory: Path) -> tuple[list[ModelVersion], ServiceFile]:
    """The verified versions, the one with the largest share first, and the service file.

    `directory` is the application's. Without a model there is no version.
    """
    work = step.work
    where = surroundings(step, state, directory)
    if work.assistant is not None:
        return [], assistant_service(work, work.assistant, state, directory, where.memory)
    if not work.model:
        alone = service_alone(step, state, where)
        return [], service_file(work, [(share, alone) for share in shares_of(work)])
    code = own_code(work.own, where, work.sample) if work.own else None
    versions, found = [], []
    for share in shares_of(work):
        version, files = version_for_use(state, share.model, share.register_key)
        versions.append(version)
        found.append((share, version_file(version, files, code)))
    return versions, service_file(work, found)
