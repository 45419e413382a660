"""Runs a credential plugin, within a limit of time and of output."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import IO

from plimsoll.errors import TargetError
from plimsoll.kubernetes.connection.plugin_answer import AnswerError, Given, answer, plain, question
from plimsoll.kubernetes.kubeconfig.access import Plugin

LIMIT = 60.0
"""Seconds for a plugin that asks nobody anything."""
PERSON_LIMIT = 300.0
"""Seconds for a plugin that may have a person log in."""
NOTICE = 5.0
"""Seconds after which it is said what is waited for."""
_MOST = 1 << 20
_LAST_WORDS = 0.5


class CredentialError(TargetError):
    """There are no credentials. `before` says that there were some before: it may pass."""

    before = False


def ask(plugin: Plugin) -> Given:
    """Credentials. Raises CredentialError with what the plugin said of itself."""
    interactive = _is_interactive(plugin)
    program = shutil.which(plugin.command)
    if program is None:
        there = os.path.exists(plugin.command)  # noqa: PTH110  # a bare name is no path
        raise CredentialError(
            f"the credential plugin '{plugin.command}' of the user '{plugin.user}' "
            + ("cannot be executed" if there else "is not installed"),
            where=plugin.where,
            hint=plain(plugin.install_hint) or "install it, or name its path in the kubeconfig",
        )
    info = {"KUBERNETES_EXEC_INFO": question(plugin, interactive=interactive)}
    environment = {**os.environ, **plugin.environment, **info}
    try:
        process = subprocess.Popen(
            [program, *plugin.args],
            env=environment,
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # One that reads from the terminal must stay among the processes that may.
            start_new_session=not interactive,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _failed(plugin, f"cannot be started: {reason}", "") from None
    printed, said = _Output(process.stdout), _Output(process.stderr, echo=_is_terminal(sys.stderr))
    code = _wait(process, plugin, said, interactive=interactive)
    # A process that the plugin leaves behind may hold its outputs open.
    printed.thread.join(_LAST_WORDS)
    said.thread.join(_LAST_WORDS)
    if code != 0:
        how = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
        raise _failed(plugin, how, said.text)
    try:
        return answer(plugin, bytes(printed.content))
    except AnswerError as error:
        raise _failed(plugin, f"gave no credentials: {error}", said.text) from None


def _wait(process: subprocess.Popen[bytes], plugin: Plugin, said: _Output, *, interactive: bool) -> int:
    limit = PERSON_LIMIT if interactive or _is_terminal(sys.stderr) else LIMIT
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(NOTICE)
        sys.stderr.write(f"waiting for the credential plugin '{plugin.command}', for {limit:g} s at most\n")
        return process.wait(max(0.0, limit - NOTICE))
    except subprocess.TimeoutExpired:
        _kill(process, interactive=interactive)
        raise _failed(plugin, f"gave no credentials within {limit:g} s", said.text) from None
    except BaseException:
        # An interrupt, which a plugin of a session of its own does not get.
        _kill(process, interactive=interactive)
        raise


def _kill(process: subprocess.Popen[bytes], *, interactive: bool) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if interactive:
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _failed(plugin: Plugin, how: str, said: str) -> CredentialError:
    lines = plain(said).splitlines()
    words = f": {' / '.join(lines[-5:])[:600]}" if lines else ""
    hint = plain(plugin.install_hint) or f"run it yourself: {' '.join([plugin.command, *plugin.args])[:300]}"
    told = f"the credential plugin '{plugin.command}' of the user '{plugin.user}' {how}{words}"
    return CredentialError(told, where=plugin.where, hint=hint)


def _is_interactive(plugin: Plugin) -> bool:
    if plugin.interactive == "Never":
        return False
    if _is_terminal(sys.stdin):
        return True
    if plugin.interactive == "Always":
        told = f"the credential plugin '{plugin.command}' of the user '{plugin.user}' needs a terminal to ask you"
        hint = "log in from a terminal first, or set interactiveMode: IfAvailable where the plugin can do without"
        raise CredentialError(told, where=plugin.where, hint=hint)
    return False


def _is_terminal(stream: IO[str] | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        # It is closed.
        return False


class _Output:
    """What comes out of a pipe, read by a thread; what is too much is read and thrown away."""

    def __init__(self, pipe: IO[bytes] | None, *, echo: bool = False) -> None:
        assert pipe is not None  # noqa: S101  # both are asked for
        self._pipe = pipe
        self._echo = echo
        self.content = bytearray()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        with self._pipe as pipe:
            while piece := os.read(pipe.fileno(), 1 << 16):
                self.content += piece[: max(0, _MOST - len(self.content))]
                if self._echo:
                    # What a person has to do to log in stands here.
                    sys.stderr.write(piece.decode(errors="replace"))
                    sys.stderr.flush()

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")
