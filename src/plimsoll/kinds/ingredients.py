"""Ingredients of keys that all kinds share: commands with their code, inputs, and versions of plimsoll's runtime."""

from __future__ import annotations

from collections.abc import Iterable

from plimsoll.application.parameters import as_text, variable
from plimsoll.planning.keys import setting, text_digest
from plimsoll.planning.planner import Planner
from plimsoll.planning.steps import AnyStep, Ingredient, InputFile, Work


def of_input(file: InputFile) -> Ingredient:
    """An input, identified by the key of the step that produces it."""
    name = f"{file.name}/{file.file}" if file.file else file.name
    return Ingredient(kind="input", name=name, digest=file.key)


def of_step(step: AnyStep) -> Ingredient:
    """The whole result of another step."""
    return Ingredient(kind="input", name=step.name, digest=step.key)


def of_command(planner: Planner, step: str, command: str, inputs: Iterable[InputFile]) -> list[Ingredient]:
    """A command line, its code, its environment, its parameters and its inputs. `step` is the step's name."""
    environment, digest = planner.workspace.environment
    return [
        Ingredient(kind="command", name="run", digest=text_digest(command)),
        Ingredient(kind="environment", name=environment, digest=digest),
        *(Ingredient(kind="code", name=file, digest=code) for file, code in planner.workspace.code.get(step, ())),
        *_of_parameters(planner, step),
        *map(of_input, inputs),
    ]


def parameter_variables(planner: Planner, step: str) -> dict[str, str]:
    """The variables of the parameters that the command of a step is given, with their values."""
    return {variable(name): value for name, value in _parameters(planner, step).items()}


def _of_parameters(planner: Planner, step: str) -> list[Ingredient]:
    given = _parameters(planner, step)
    return [Ingredient(kind="parameter", name=name, digest=text_digest(value)) for name, value in given.items()]


def _parameters(planner: Planner, step: str) -> dict[str, str]:
    values = planner.application.parameters
    return {name: as_text(values[name]) for name in planner.workspace.parameters.get(step, ())}


def of_runtime(planner: Planner) -> list[Ingredient]:
    """The versions of plimsoll's server and scorer: another version may give other answers."""
    return [setting(f"version of {name}", version) for name, version in sorted(planner.facts.versions.items())]


def needed_by_command(inputs: Iterable[InputFile], environment: AnyStep | None) -> tuple[str, ...]:
    """The steps that a command needs: its environment and its inputs."""
    return (*((environment.name,) if environment else ()), *(file.step for file in inputs))


def sources(step: AnyStep, fetches: type[Work]) -> tuple[Ingredient, ...]:
    """What a step fetches; nothing for one that fetches nothing."""
    if not isinstance(step.work, fetches):
        return ()
    found = (each for each in step.ingredients if each.kind == "input")
    return tuple(Ingredient(kind="source", name=each.name, digest=each.digest) for each in found)


def upstream(planner: Planner, step: AnyStep, fetches: type[Work]) -> tuple[Ingredient, ...]:
    """The sources and the code of a step's inputs, through all steps before it; `fetches` is what fetches a source."""
    found: dict[str, Ingredient] = {}
    for name in step.needs:
        before = planner.steps[name]
        kinds = {"input": "source"} if isinstance(before.work, fetches) else {"code": "code"}
        parts = [part for part in before.ingredients if part.kind in kinds]
        found |= {part.name: Ingredient(kind=kinds[part.kind], name=part.name, digest=part.digest) for part in parts}
        found |= {part.name: part for part in upstream(planner, before, fetches)}
    return tuple(found.values())
