"""`python -m plimsoll.runtime.pod`: run the task in PLIMSOLL_POD_TASK and exit with the command's status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from plimsoll.runtime.contracts import contract_of, script_path
from plimsoll.runtime.model_digests import digest_options
from plimsoll.runtime.outputs import argv_of
from plimsoll.runtime.pod.gang import join_gang
from plimsoll.runtime.pod.indexing import index_command
from plimsoll.runtime.pod.process import command_environment, read_pod_task, reporting_errors
from plimsoll.runtime.pod.store import PodStore, source_name
from plimsoll.runtime.pod_task import RANK_VARIABLE, REFERENCE_FILE, STOP_SECONDS, WORK, PodTask
from plimsoll.runtime.start_problem import start_problem


def main() -> NoReturn:
    """Exit 0 when the command succeeded and its output is pushed; else the termination message has the reason."""
    with reporting_errors():
        status = run_task(read_pod_task(), int(os.environ.get(RANK_VARIABLE) or 0))
    sys.exit(status)


def run_task(task: PodTask, rank: int) -> int:
    """Pull inputs, run the command, push its output. Returns the command's status. Raises PlimsollError."""
    work = Path(WORK)
    output, checkpoints = work / "output", work / "checkpoints"
    output.mkdir(parents=True, exist_ok=True)
    with PodStore(task) as store:
        environment = {**command_environment(), **store.inputs(), **task.variables, "PLIMSOLL_OUTPUT": str(output)}
        curve = store.curve(work / "curve", output, _log) if rank == 0 else None
        uploader = store.checkpoint_uploader(checkpoints, _log, curve)
        if curve is not None:
            curve.restore()
        if uploader is not None:
            environment["PLIMSOLL_CHECKPOINT"] = str(checkpoints)
            if count := uploader.restore():
                _log(f"restored {count} checkpoint files of an earlier attempt")
        tracker = None
        if task.action == "train":
            variables, tracker = join_gang(task, rank, work, environment, _log)
            environment |= variables
        if uploader is not None and rank == 0:
            uploader.start()
        if curve is not None:
            curve.start()
        try:
            # Our own commands, such as the scorer, need the environment of this process.
            is_ours = task.action in ("score", "fetch", "reference", "index")
            variables = {**os.environ, "PLIMSOLL_OUTPUT": str(output)} if is_ours else environment
            status = _run(_command(task, store, output, work), variables)
        finally:
            if uploader is not None and rank == 0:
                uploader.close()
            if curve is not None:
                curve.close()
            if tracker is not None:
                tracker.kill()
        if status == 0 and rank == 0:
            store.push_output(output, checkpoints)
    return status


def _command(task: PodTask, store: PodStore, output: Path, work: Path) -> list[str]:
    if task.action == "fetch":
        return _fetch_command(task, output)
    if task.action == "reference":
        command = [
            sys.executable,
            "-m",
            "plimsoll.telemetry.drift.build_reference",
            "--output",
            str(output / REFERENCE_FILE),
        ]
        # The user's own code is among the arguments; a model by itself is what the init container has pulled.
        model = () if "--code" in task.arguments else ("--model", str(store.model()))
        return [*command, *model, "--table", store.only_input(), *task.arguments]
    if task.index is not None:
        return index_command(task.index, store.only_input(), output, work)
    if task.action == "train" and (script := _script_around(task)):
        return [sys.executable, str(script_path(script)), *argv_of(task.command)]
    if task.action != "score":
        return argv_of(task.command)
    checkpoint = work / "score"
    checkpoint.mkdir(exist_ok=True)
    options = ["--model", str(store.model()), "--input", store.only_input()]
    return [
        sys.executable,
        *("-m", "plimsoll.runtime.scorer"),
        *options,
        *("--output", str(output), "--checkpoint", str(checkpoint)),
        *task.arguments,
        *digest_options({store.model().parent / name: digest for name, digest in task.model_files.items()}),
    ]


def _script_around(task: PodTask) -> str | None:
    contract = contract_of(task.framework)
    # A single worker too: without an agent mpirun starts nothing at all.
    return contract.node_script or contract.agent_script


def _fetch_command(task: PodTask, output: Path) -> list[str]:
    name = source_name(task.source)
    target = output / name if name else output
    digest = ["--sha256", task.sha256] if task.sha256 else []
    command = [sys.executable, "-m", "plimsoll.runtime.fetch", task.source, *digest]
    return [*command, "--cache", str(Path(WORK, "cache")), "--output", str(target)]


def _run(argv: list[str], environment: Mapping[str, str]) -> int:
    """Run a command and pass signals on to it. Returns its status, 128 + number after a signal.

    A command that succeeds after a signal (from a drain, a suspended queue or a preemption) has saved a checkpoint and
    is not finished. The status is then 128 + number too, so that its output is not taken for the result.
    """
    signals: list[int] = []
    try:
        process = subprocess.Popen(argv, env=dict(environment), start_new_session=True)
    except OSError as error:
        raise start_problem(argv[0], error.errno or 0, Path.cwd(), environment.get("PATH", os.defpath)) from error

    def forward(number: int, _: object) -> None:
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        signals.append(number)
        signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS)

    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, forward)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
    status = process.wait()
    signal.setitimer(signal.ITIMER_REAL, 0)
    if status == 0 and signals:
        return 128 + signals[0]
    return status if status >= 0 else 128 - status


def _log(text: str) -> None:
    print(f"plimsoll: {text}", flush=True)


if __name__ == "__main__":
    main()
