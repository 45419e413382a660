"""The environment variables and the interpreter of the user's command lines."""

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
from plimsoll.targets.local.sources import source_in_place


def base_environment(python: Path | None) -> dict[str, str]:
    """The caller's environment variables, with the step's python first on PATH.

    A step without its own python uses the caller's PATH. The directory of plimsoll's interpreter comes last, so that
    `python` is found even on a system that has only `python3`.
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
    """The variable PLIMSOLL_INPUT_<NAME> of each input, an absolute path."""
    return {f"PLIMSOLL_INPUT_{environment_name(file.name)}": str(input_path(file, state)) for file in inputs}


def input_path(file: InputFile, state: StateDirectory) -> Path:
    """The path of an input: one file of a result, a whole source, or the directory of a step's outputs.

    Raises TargetError when the result is missing, or a source is not what it was when the run began.
    """
    result = state.result(file.key, FetchResult)
    if result is None:
        raise TargetError(f"the result of {file.step} is missing", hint="run again to rebuild it")
    if result.source is not None:
        base = source_in_place(state, result.source, result.sha256)
        return base / file.file if file.file else base
    output = state.output(file.key)
    if file.file:
        return output / file.file
    # Of an address there is one file, which is the input.
    return output / result.outputs[0].name if result.sha256 and len(result.outputs) == 1 else output


def environment_python(key: str | None, state: StateDirectory) -> Path | None:
    """The interpreter of the environment that a step created; `None` for the caller's own python."""
    if key is None:
        return None
    result = state.result(key, EnvironmentResult)
    if result is None or result.python is None:
        raise TargetError("the Python environment is missing", hint="run again to rebuild it")
    return Path(result.python)


def python_for_scripts(command: str, environment: Mapping[str, str]) -> str:
    """The interpreter of a command's script: the one that the command names, else `python` on its PATH."""
    program = argv_of(command)[0]
    if Path(program).name.startswith("python"):
        named = shutil.which(program, path=environment["PATH"])
        if named:
            return named
    return shutil.which("python", path=environment["PATH"]) or sys.executable
