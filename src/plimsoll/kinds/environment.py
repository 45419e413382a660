"""The Python environment of a requirements file, as a step that every command of the application needs."""

from __future__ import annotations

from typing import ClassVar

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.paths import require_readable
from plimsoll.planning.planner import Planner
from plimsoll.planning.steps import Ingredient, Step, Travels, Work
from plimsoll.state.results import Result


class EnvironmentResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """`python` is the interpreter of an environment on this machine, `layer` the digest of an image's layer."""

    python: str | None = None
    layer: str | None = None

    def figure(self) -> str:
        """Empty: an environment has no figures."""
        return ""


class MakeEnvironment(Work, frozen=True, kw_only=True):
    """Create the environment of a requirements file. `requirements` is relative to the application file."""

    verb: ClassVar[str] = "environment"
    result: ClassVar[type[Result]] = EnvironmentResult
    travels: ClassVar[Travels] = "never"
    requirements: str


def check_environment(file: ApplicationFile) -> None:
    """Raise FileError for a requirements file that cannot be read."""
    requirements = file.application.environment.requirements
    if requirements is not None:
        require_readable(file, "the requirements file", requirements, "spec", "environment", "requirements")


def environment_step(planner: Planner) -> Step[MakeEnvironment] | None:
    """The step that creates the environment, added when first needed; None without a requirements file."""
    requirements = planner.application.environment.requirements
    if requirements is None:
        return None
    made_of = [Ingredient(kind="environment", name=requirements, digest=planner.workspace.environment[1])]
    return planner.add(requirements, MakeEnvironment(requirements=requirements), made_of, retries=1)
