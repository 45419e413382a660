"""`python -m plimsoll.runtime.pod.ray_start`: pull a pod's inputs, then become the Ray node that KubeRay requests.

Ray tasks on the node find the inputs at the same paths as the command of worker 0.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
from typing import NoReturn

from plimsoll.errors import TargetError
from plimsoll.runtime.pod.process import command_environment, read_pod_task, reporting_errors
from plimsoll.runtime.pod.store import PodStore
from plimsoll.runtime.pod_task import TASK_VARIABLE

_START_COMMAND = "KUBERAY_GEN_RAY_START_CMD"
"""The operator's `ray start …` command, for containers with their own command."""


def main() -> NoReturn:
    """Become `ray start`. Exits 1 with a reason in the termination message when the image lacks a requirement."""
    with reporting_errors():
        task = read_pod_task()
        environment = command_environment()
        argv = shlex.split(os.environ.get(_START_COMMAND, ""))
        if not argv:
            raise TargetError(
                f"the operator did not set {_START_COMMAND}", hint="use KubeRay 1.1 or later", lasting=True
            )
        _require_ray(environment["PATH"])
        with PodStore(task) as store:
            environment |= store.inputs()
    # The command that the operator submits reads the task too.
    environment[TASK_VARIABLE] = os.environ[TASK_VARIABLE]
    os.execvpe(argv[0], argv, environment)  # noqa: S606  # the process becomes Ray's


def _require_ray(path: str) -> None:
    for program in ("ray", "bash"):
        if shutil.which(program, path=path) is None:
            message = f"KubeRay needs {program}, which is not in the image"
            hint = "use a base image with bash, with ray[default] in it or in the requirements; or --prefer pods"
            raise TargetError(message, hint=hint, lasting=True)
    if importlib.util.find_spec("aiohttp") is None:
        message = "KubeRay submits the command to Ray's dashboard, which is not installed"
        raise TargetError(message, hint="add ray[default] to the requirements, or use --prefer pods", lasting=True)


if __name__ == "__main__":
    main()
