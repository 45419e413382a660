"""`python -m plimsoll.runtime.pod`: does the errand of PLIMSOLL_ERRAND and ends with the command's own status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from plimsoll.errors import TargetError
from plimsoll.runtime.contracts import contract_of, script_path
from plimsoll.runtime.outputs import argv_of
from plimsoll.runtime.pod.gang import join
from plimsoll.runtime.pod.process import errand_of_pod, plain_environment, reported
from plimsoll.runtime.pod.store import Store, source_name
from plimsoll.runtime.pod_task import ENDING, RANK, REFERENCE, WORK, Errand


def main() -> NoReturn:
    """Exit 0 when the command ended well and its output is kept; a reason stands in the termination message else."""
    with reported():
        status = do(errand_of_pod(), int(os.environ.get(RANK) or 0))
    sys.exit(status)


def do(errand: Errand, rank: int) -> int:
    """Inputs, command, output; gives the command's status. Raises PlimsollError."""
    work = Path(WORK)
    output, checkpoints = work / "output", work / "checkpoints"
    output.mkdir(parents=True, exist_ok=True)
    with Store(errand) as store:
        environment = {**plain_environment(), **store.inputs(), "PLIMSOLL_OUTPUT": str(output)}
        keeper = store.keeper(checkpoints, rank, _say)
        if keeper is not None:
            environment["PLIMSOLL_CHECKPOINT"] = str(checkpoints)
            if count := keeper.restore():
                _say(f"{count} checkpoint files from before")
        tracker = None
        if errand.do == "train":
            variables, tracker = join(errand, rank, work, environment, _say)
            environment |= variables
        if keeper is not None and rank == 0:
            keeper.start()
        try:
            # What we run of our own, such as the scorer, needs our own places.
            ours = errand.do in ("score", "fetch", "reference")
            own = {**os.environ, "PLIMSOLL_OUTPUT": str(output)} if ours else environment
            status = _run(_command(errand, store, output, work), own)
        finally:
            if keeper is not None and rank == 0:
                keeper.close()
            if tracker is not None:
                tracker.kill()
        if status == 0 and rank == 0:
            store.keep(output, checkpoints)
    return status


def _command(errand: Errand, store: Store, output: Path, work: Path) -> list[str]:
    if errand.do == "fetch":
        return _fetcher(errand, output)
    if errand.do == "reference":
        maker = [sys.executable, "-m", "plimsoll.telemetry.drift.making", "--output", str(output / REFERENCE)]
        return [*maker, "--model", str(store.model()), "--table", store.only_input(), *errand.arguments]
    if errand.do == "train" and (node := contract_of(errand.framework).node_script):
        return [sys.executable, str(script_path(node)), *argv_of(errand.command)]
    if errand.do != "score":
        return argv_of(errand.command)
    checkpoint = work / "score"
    checkpoint.mkdir(exist_ok=True)
    options = ["--model", str(store.model()), "--input", store.only_input()]
    return [
        sys.executable,
        *("-m", "plimsoll.runtime.scorer"),
        *options,
        *("--output", str(output), "--checkpoint", str(checkpoint)),
    ]


def _fetcher(errand: Errand, output: Path) -> list[str]:
    name = source_name(errand.source)
    target = output / name if name else output
    digest = ["--sha256", errand.sha256] if errand.sha256 else []
    command = [sys.executable, "-m", "plimsoll.runtime.fetch", errand.source, *digest]
    return [*command, "--cache", str(Path(WORK, "cache")), "--output", str(target)]


def _run(argv: list[str], environment: Mapping[str, str]) -> int:
    """The command's status, 128 + number after a signal. A signal to us is handed on to it.

    Who is asked to end (by a drain, a queue that suspends, a preemption) and ends well has kept a checkpoint, and is
    not done: 128 + number it is then too, so that nothing of it is taken for the result.
    """
    asked: list[int] = []
    try:
        process = subprocess.Popen(argv, env=dict(environment), start_new_session=True)
    except OSError as error:
        message = f"the command cannot be started: {error.strerror or error}"
        hint = "is it in the image, or in the requirements?"
        raise TargetError(message, where=argv[0], hint=hint) from error

    def hand_on(number: int, _: object) -> None:
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        asked.append(number)
        signal.setitimer(signal.ITIMER_REAL, ENDING)

    signal.signal(signal.SIGTERM, hand_on)
    signal.signal(signal.SIGINT, hand_on)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
    status = process.wait()
    signal.setitimer(signal.ITIMER_REAL, 0)
    if status == 0 and asked:
        return 128 + asked[0]
    return status if status >= 0 else 128 - status


def _say(text: str) -> None:
    print(f"plimsoll: {text}", flush=True)


if __name__ == "__main__":
    main()
