"""Trains one model with a gang of workers, by the contract of their framework."""

from __future__ import annotations

import contextlib
import queue
import shutil
import signal
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import msgspec

from plimsoll.errors import TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import RendezvousReady
from plimsoll.kinds.train import TrainGang, TrainResult
from plimsoll.runtime.contracts import contract_of, script_path
from plimsoll.runtime.contracts.gang import Gang
from plimsoll.runtime.figures import read_figures
from plimsoll.runtime.outputs import argv_of, files_in, unnamed_files
from plimsoll.state.logs import last_log_line
from plimsoll.targets.adapters import base_variables
from plimsoll.targets.attempt import Progress, done, failed
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.commands import (
    base_environment,
    environment_python,
    input_variables,
    python_for_scripts,
)
from plimsoll.targets.local.isolation import Apart, kept_apart
from plimsoll.targets.local.warden import ProcessEnd
from plimsoll.targets.local.workers import Command, run_together

HOST = "127.0.0.1"
RENDEZVOUS_LIMIT = 60.0
"""Seconds that the rendezvous has to become ready: importing a framework is slow on a busy machine."""
PORTS = range(20_000, 32_000)
"""Ports of workers: below the range that Linux uses for outgoing connections."""


def train(attempt: LocalAttempt[TrainGang]) -> Progress:
    """Start the rendezvous and all workers, and collect the files of rank 0."""
    work = attempt.work
    state = attempt.context.state
    attempt.checkpoints.mkdir(parents=True, exist_ok=True)
    base = {
        **base_environment(environment_python(work.environment, state)),
        **input_variables(work.inputs, state),
        **base_variables(work.base, state),
        **work.parameters,
        "PLIMSOLL_CHECKPOINT": str(attempt.checkpoints),
    }
    contract = contract_of(work.framework)
    with contextlib.ExitStack() as until_end:
        apart = until_end.enter_context(kept_apart(attempt, base))
        address = None
        if contract.rendezvous_script:
            argv = [python_for_scripts(work.command, base), str(script_path(contract.rendezvous_script))]
            address = yield from _rendezvous(attempt, apart, argv, base, work.workers, until_end)
        gang = Gang(
            hosts=(HOST,) * work.workers,
            ports=free_ports(work.workers),
            rendezvous=address,
            directory=str(attempt.directory),
            cores_per_worker=attempt.step.resources.cores,
        )
        for name, content in contract.files(gang).items():
            (attempt.directory / name).write_text(content, encoding="utf-8")
        started = 1 if contract.launcher else work.workers
        commands = [
            Command(
                argv=_argv(work, contract.node_script, base),
                environment={
                    **base,
                    **contract.environment(rank, gang),
                    "PLIMSOLL_OUTPUT": str(_output_of(attempt, rank)),
                },
                resources=attempt.step.resources,
            )
            for rank in range(started)
        ]
        reason = yield from run_together(attempt, commands, work.timeout, apart)
    if reason:
        return failed(reason)
    checkpoints = sum(1 for path in attempt.checkpoints.rglob("*") if path.is_file())
    figures = read_figures(attempt.output)
    return done(
        TrainResult(
            outputs=files_in(attempt.output),
            metrics=figures.metrics,
            notes=(*figures.notes, *unnamed_files(attempt.output)),
            checkpoints=checkpoints,
        )
    )


def _output_of(attempt: LocalAttempt[TrainGang], rank: int) -> Path:
    """The output directory of a rank. Only the files of rank 0 are kept; other directories are deleted."""
    if rank == 0:
        return attempt.output
    directory = attempt.directory / f"rank-{rank}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def _argv(work: TrainGang, node_script: str | None, base: dict[str, str]) -> list[str]:
    around = [python_for_scripts(work.command, base), str(script_path(node_script))] if node_script else []
    return [*around, *argv_of(work.command)]


def _rendezvous(
    attempt: LocalAttempt[TrainGang],
    apart: Apart,
    script: Sequence[str],
    base: dict[str, str],
    workers: int,
    until_end: contextlib.ExitStack,
) -> Generator[Observation, None, tuple[str, int]]:
    """Start the rendezvous and wait for its address; it is stopped with the gang.

    Raises TargetError when it does not start.
    """
    ready = attempt.directory / "rendezvous.json"
    ends: queue.Queue[ProcessEnd] = queue.Queue()
    log = attempt.log("rendezvous")
    argv = [*script, "--workers", str(workers), "--host", HOST]
    process = apart.warden.spawn(
        [*argv, "--ready-file", str(ready), "--timeout", f"{RENDEZVOUS_LIMIT:g}"],
        environment=apart.environment({**base, "PLIMSOLL_OUTPUT": str(attempt.output)}),
        directory=attempt.context.directory,
        log=log,
        mark=str(attempt.output),
        on_end=ends.put,
    )
    until_end.callback(process.send, signal.SIGKILL)
    deadline = time.monotonic() + RENDEZVOUS_LIMIT
    while not ready.exists():
        with contextlib.suppress(queue.Empty):
            end = ends.get(timeout=0.01)
            raise TargetError(f"the rendezvous {end.description()}: {last_log_line(log)}")
        if attempt.stopped or time.monotonic() > deadline:
            raise TargetError(f"the rendezvous was not ready within {RENDEZVOUS_LIMIT:g} s", where=str(log))
    address = msgspec.json.decode(ready.read_bytes())
    meeting = f"{address['host']}:{address['port']}"
    yield attempt.seen(RendezvousReady(attempt=attempt.number, address=meeting))
    return str(address["host"]), int(address["port"])


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that are free now. Raises TargetError when there are too few."""
    found = tuple(_bindable(count))
    if len(found) < count:
        raise TargetError(f"fewer than {count} ports are free between {PORTS.start} and {PORTS.stop - 1}")
    return found


def _bindable(count: int) -> Iterator[int]:
    import random
    import socket

    found = 0
    for port in random.sample(PORTS, len(PORTS)):
        if found == count:
            return
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            found += 1
            yield port
