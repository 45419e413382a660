"""The server's side of explanations by shap: a process for each model that is asked for, its limits and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plimsoll.errors import TargetError
from plimsoll.runtime.explain.matrices import as_matrix
from plimsoll.runtime.explain.outputs import BASE, CONTRIBUTIONS
from plimsoll.runtime.explain.sampled_settings import SampledSettings
from plimsoll.runtime.explain.shap_messages import Reply, Rows, receive, send
from plimsoll.runtime.model_digests import digest_options
from plimsoll.runtime.tensors import Array, BadTensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plimsoll.runtime.model import OnnxModel

START_LIMIT = 180.0
"""Seconds for a process to load shap and the model, and to explain its first row."""
GRACE = 5.0
"""Seconds beyond the budget after which a process that says nothing is ended."""
LOOK = 0.25
"""Seconds between two looks whether anybody still waits."""
MOST_PROCESSES = 2
"""Processes at once: each has shap and the model in its memory. The one that was asked longest ago makes room."""
MOST_ROWS = 100
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


class Sampling:
    """Explains models by shap. Its methods may be called from several threads; they take turns."""

    def __init__(self, settings: SampledSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._processes: OrderedDict[tuple[Path, str], _Process] = OrderedDict()

    def prepare(self, model: OnnxModel) -> None:
        """Have a process ready for a model. Raises BadTensor with the reason why it cannot be explained."""
        with self._lock:
            self._ready(model, lambda: None)

    def explanations(
        self, model: OnnxModel, inputs: Mapping[str, Array], still_wanted: Callable[[], None]
    ) -> dict[str, Array]:
        """`contributions` [rows, outputs, features] and `contributions_base` [rows, outputs], FP32, as of trees.

        Raises BadTensor with the reason, and what `still_wanted` raises when nobody waits any more.
        """
        rows = as_matrix(model.spec, inputs)
        if len(rows) > MOST_ROWS:
            raise BadTensor(f"cannot explain {len(rows)} rows in one request; send at most {MOST_ROWS}")
        with self._lock:
            try:
                reply = self._ready(model, still_wanted).ask(rows, self._settings.seconds, still_wanted)
            except _Ended:
                # Somebody may have killed it. When the next one ends too, it is by these rows.
                reply = self._ready(model, still_wanted).ask(rows, self._settings.seconds, still_wanted)
        values = np.frombuffer(reply.values, dtype=np.float32).reshape(reply.shape)
        base = np.frombuffer(reply.base, dtype=np.float32).reshape(reply.shape[:2])
        return {CONTRIBUTIONS: values, BASE: base}

    def close(self) -> None:
        """End all processes, also one that explains at this moment."""
        for process in list(self._processes.values()):
            process.end()

    def _ready(self, model: OnnxModel, still_wanted: Callable[[], None]) -> _Process:
        key = (model.path, model.digest)
        process = self._processes.get(key)
        if process is None or process.ended:
            try:
                model.require_unaltered()
                process = _Process(model, self._settings)
            except (TargetError, OSError) as error:
                reason = error.on_one_line() if isinstance(error, TargetError) else str(error)
                raise BadTensor(f"it cannot be explained: {reason}") from error
            self._processes[key] = process
        self._processes.move_to_end(key)
        while len(self._processes) > MOST_PROCESSES:
            self._processes.popitem(last=False)[1].end()
        process.wait_until_ready(still_wanted)
        return process


class _Ended(BadTensor):
    """The process has ended by itself, or by somebody else."""


class _Process:
    """One process that explains one model."""

    def __init__(self, model: OnnxModel, settings: SampledSettings) -> None:
        """Start it. Raises OSError."""
        self.ended = False
        self._ready = False
        self._began = time.monotonic()
        self._channel, its = socket.socketpair()
        self._channel.settimeout(LOOK)
        argv = [sys.executable, "-m", "plimsoll.runtime.explain.shap_process", "--model", str(model.path)]
        argv += ["--background", settings.background, "--output", settings.output, "--socket", str(its.fileno())]
        argv += ["--evaluations", str(settings.evaluations), "--seconds", str(settings.seconds)]
        try:
            self._process = subprocess.Popen(
                [*argv, *digest_options({Path(path): digest for path, digest in model.files.items()})],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(its.fileno(),),
                env={**os.environ, **ONE_THREAD},
                # Ctrl-C in a terminal is for the server, which ends it.
                process_group=0,
            )
        except OSError:
            self._channel.close()
            raise
        finally:
            its.close()

    def wait_until_ready(self, still_wanted: Callable[[], None]) -> None:
        """Return when it takes rows; it stays when nobody waits for that any more. Raises BadTensor."""
        if self._ready:
            return
        self._receive(self._began + START_LIMIT, still_wanted, keep=True)
        self._ready = True

    def ask(self, rows: Array, seconds: float, still_wanted: Callable[[], None]) -> Reply:
        """The explanation of rows. Raises BadTensor."""
        # When it takes nothing any more, its end tells why.
        with contextlib.suppress(OSError):
            send(self._channel, Rows(content=rows.astype(np.float64).tobytes(), shape=(len(rows), rows.shape[1])))
        return self._receive(time.monotonic() + seconds + GRACE, still_wanted, keep=False)

    def end(self) -> None:
        """End it now."""
        if self.ended:
            # Its number may be another process's by now.
            return
        self.ended = True
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._channel.close()

    def _receive(self, deadline: float, still_wanted: Callable[[], None], *, keep: bool) -> Reply:
        """The next reply. With `keep` it goes on when nobody waits any more; otherwise it is ended then."""

        def waited() -> None:
            if time.monotonic() > deadline:
                raise BadTensor("the process that explains did not answer in time")
            still_wanted()

        try:
            reply = receive(self._channel, Reply, waited)
        except BadTensor:
            self.end()
            raise
        except TimeoutError:
            if not keep:
                # It would answer to whoever asks next.
                self.end()
            raise
        if reply is None:
            self.end()
            raise _Ended(f"the process that explains has ended (status {self._process.returncode})")
        if reply.problem and keep:
            self.end()
        if reply.problem:
            raise BadTensor(reply.problem)
        return reply
