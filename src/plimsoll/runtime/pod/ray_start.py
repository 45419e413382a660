"""`python -m plimsoll.runtime.pod.ray_start`: brings a pod's inputs, and becomes the node of Ray that KubeRay asks for.

Tasks on the node then find the inputs where the command of worker 0 finds them.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
from typing import NoReturn

from plimsoll.errors import TargetError
from plimsoll.runtime.pod.process import errand_of_pod, plain_environment, reported
from plimsoll.runtime.pod.store import Store
from plimsoll.runtime.pod_task import VARIABLE

_COMMAND = "KUBERAY_GEN_RAY_START_CMD"
"""The operator's own `ray start …`, for containers that bring a command of their own."""


def main() -> NoReturn:
    """Become `ray start`. Exits with 1 and a reason in the termination message when the image cannot carry it."""
    with reported():
        errand = errand_of_pod()
        environment = plain_environment()
        argv = shlex.split(os.environ.get(_COMMAND, ""))
        if not argv:
            raise TargetError(f"the operator has set no {_COMMAND}", hint="KubeRay 1.1 and later do", lasting=True)
        _require_ray(environment["PATH"])
        with Store(errand) as store:
            environment |= store.inputs()
    # The command that the operator hands in reads the errand too.
    environment[VARIABLE] = os.environ[VARIABLE]
    os.execvpe(argv[0], argv, environment)  # noqa: S606  # the process becomes Ray's


def _require_ray(path: str) -> None:
    for program in ("ray", "bash"):
        if shutil.which(program, path=path) is None:
            message = f"KubeRay needs {program}, which is not in the image"
            hint = "a base image with bash, and ray[default] in it or in the requirements; or --prefer pods"
            raise TargetError(message, hint=hint, lasting=True)
    if importlib.util.find_spec("aiohttp") is None:
        message = "KubeRay hands the command in by Ray's dashboard, and Ray is installed without it"
        raise TargetError(message, hint="add ray[default] to the requirements, or --prefer pods", lasting=True)


if __name__ == "__main__":
    main()
