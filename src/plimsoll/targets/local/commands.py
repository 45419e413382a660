"""The user's command lines: what is executed, and what it sees in its environment."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from plimsoll.application.scalars import environment_name
from plimsoll.errors import TargetError
from plimsoll.kinds.dataset import FetchResult
from plimsoll.kinds.environment import EnvironmentResult
from plimsoll.planning.steps import InputFile
from plimsoll.runtime.outputs import argv_of
from plimsoll.state.directory import StateDirectory


def base_environment(python: Path | None) -> dict[str, str]:
    """The caller's environment, with the step's python first on PATH.

    Without an environment of its own the caller's PATH decides; the directory of the interpreter that runs plimsoll
    comes last, so that `python` is found even where the system has only `python3`.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLIMSOLL_")}
    path = environment.get("PATH", os.defpath)
    if python is None:
        environment["PATH"] = os.pathsep.join([path, str(Path(sys.executable).parent)])
    else:
        environment["PATH"] = os.pathsep.join([str(python.parent), path])
        environment["VIRTUAL_ENV"] = str(python.parent.parent)
        environment.pop("PYTHONHOME", None)
        environment.pop("PYTHONPATH", None)
    environment["PYTHONUNBUFFERED"] = "1"
    return environment


def input_variables(inputs: Iterable[InputFile], state: StateDirectory) -> dict[str, str]:
    """PLIMSOLL_INPUT_<NAME> for each input, an absolute path."""
    return {f"PLIMSOLL_INPUT_{environment_name(file.name)}": str(input_path(file, state)) for file in inputs}


def input_path(file: InputFile, state: StateDirectory) -> Path:
    """Where an input is: one file of a result, a whole source, or the directory of a step's outputs.

    Raises TargetError when the result that it comes from is gone.
    """
    result = state.result(file.key, FetchResult)
    if result is None:
        raise TargetError(f"the result of {file.step} is no longer there", hint="run again to make it anew")
    if result.path is not None:
        base = Path(result.path)
        return base / file.file if file.file else base
    return state.output(file.key) / file.file if file.file else state.output(file.key)


def environment_python(key: str | None, state: StateDirectory) -> Path | None:
    """The interpreter of the environment that a step made; `None` for the caller's own."""
    if key is None:
        return None
    result = state.result(key, EnvironmentResult)
    if result is None or result.python is None:
        raise TargetError("the environment is no longer there", hint="run again to make it anew")
    return Path(result.python)


def python_for_scripts(command: str, environment: Mapping[str, str]) -> str:
    """The interpreter that runs a command's script: the one that it names, else what `python` means to it."""
    program = argv_of(command)[0]
    if Path(program).name.startswith("python"):
        named = shutil.which(program, path=environment["PATH"])
        if named:
            return named
    return shutil.which("python", path=environment["PATH"]) or sys.executable
