"""Services of the user's own code: a command with a function or a server, and pipelines of steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal

from msgspec import Meta

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Code, Command, Part
from plimsoll.application.predictors import function_script, unreadable_script
from plimsoll.application.scalars import ModelReference
from plimsoll.application.workspace import NamedCommand
from plimsoll.kinds import ingredients
from plimsoll.kinds.environment import environment_step
from plimsoll.kinds.model import MODELS
from plimsoll.planning.keys import setting
from plimsoll.planning.planner import Planner
from plimsoll.planning.steps import Ingredient

Datatype = Literal[
    "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "FP32", "FP64", "BYTES"
]


class Tensor(Part, frozen=True, kw_only=True):
    """One input or output of a function, in the protocol's words."""

    datatype: Datatype
    shape: Annotated[
        tuple[Annotated[int, Meta(ge=-1)], ...], Meta(description="sizes of the dimensions, -1 for an open one")
    ]


Tensors = Annotated[dict[str, Tensor], Meta(description="tensors by name, such as x: {datatype: FP64, shape: [-1, 4]}")]


class PipelineStep(Part, frozen=True, kw_only=True):
    """A step of a pipeline that is the user's own code."""

    run: Command
    code: Code = ()
    model: ModelReference | None = None
    inputs: Tensors = {}  # noqa: RUF012 - msgspec copies it
    outputs: Tensors = {}  # noqa: RUF012 - msgspec copies it


class ServedStep(Part, frozen=True, kw_only=True):
    """What answers in a service, or in one step of it: a model, or a command that may be given one.

    `model` is empty for a command without one; `register_key` is as in `Serve`. `files` are the command's code with its
    digests. `script` is the one of them with `predict`, empty for a server. `parameters` has the values of variables.
    """

    name: str
    command: str = ""
    script: str = ""
    model: str = ""
    register_key: str | None = None
    inputs: dict[str, Tensor] = {}  # noqa: RUF012 - msgspec copies it
    outputs: dict[str, Tensor] = {}  # noqa: RUF012 - msgspec copies it
    files: tuple[tuple[str, str], ...] = ()
    parameters: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it


def step_of_command(service: str, number: int = 0) -> str:
    """What the code of a service's command is called: of the service's step, or of one step of its pipeline."""
    return f"serve/{service}" + (f"/{number}" if number else "")


def commands(
    name: str, at: tuple[str, ...], run: PipelineStep | None, steps: Iterable[str | PipelineStep]
) -> Iterator[NamedCommand]:
    """The command lines of a service."""
    if run is not None:
        yield NamedCommand(step=step_of_command(name), command=run.run, code=run.code, at=at, serves=True)
    for number, step in enumerate(steps):
        if isinstance(step, PipelineStep):
            place: tuple[str | int, ...] = (*at, "pipeline", number)
            called = step_of_command(name, number + 1)
            yield NamedCommand(step=called, command=step.run, code=step.code, at=place, serves=True)


def check_own(file: ApplicationFile, own: PipelineStep, *at: str | int) -> None:
    """Raise FileError for a function with undeclared inputs, and for tensors of a server, which tells its own."""
    if own.model is not None:
        MODELS.check_reference(file, own.model, *at, "model", whole=False)
    if problem := unreadable_script(own.run, file.directory):
        raise file.error(f"the script cannot be read: {problem}", "correct it", *at, "run")
    if script := function_script(own.run, file.directory):
        if not own.inputs:
            hint = "declare what predict() takes, such as inputs: {x: {datatype: FP64, shape: [-1, 4]}}"
            raise file.error(f"the inputs of predict() in {script} are not declared", hint, *at, "run")
        return
    for word, given in (("inputs", own.inputs), ("outputs", own.outputs)):
        if given:
            hint = "remove it; a script with predict(inputs) that does not name PORT is served as a function"
            raise file.error(f"`{word}` is for a function; a server tells its own in its metadata", hint, *at, word)


def planned(
    planner: Planner, service: str, name: str, own: PipelineStep, number: int = 0
) -> tuple[ServedStep, list[Ingredient], list[str]]:
    """A command as a step of what is served, the ingredients of its key, and the steps that it needs."""
    step = step_of_command(service, number)
    made_of = ingredients.of_command(planner, step, own.run, ())
    for word, given in (("inputs", own.inputs), ("outputs", own.outputs)):
        if given:
            made_of.append(setting(f"{word} of {step}", {each: [t.datatype, *t.shape] for each, t in given.items()}))
    environment = environment_step(planner)
    needs = [environment.name] if environment else []
    register_key = None
    if own.model is not None:
        register, found = MODELS.registered(planner, own.model)
        made_of += found
        if register is not None:
            register_key = register.key
            needs.append(register.name)
    served = ServedStep(
        name=name,
        command=own.run,
        script=planner.workspace.functions.get(step, ""),
        model=own.model or "",
        register_key=register_key,
        inputs=own.inputs,
        outputs=own.outputs,
        files=planner.workspace.code.get(step, ()),
        parameters=ingredients.parameter_variables(planner, step),
    )
    return served, made_of, needs


def planned_pipeline(
    planner: Planner, service: str, steps: Iterable[str | PipelineStep]
) -> tuple[tuple[ServedStep, ...], list[Ingredient], list[str]]:
    """The steps of a pipeline, the ingredients of its key, and the steps of the plan that it needs."""
    served: list[ServedStep] = []
    made_of: list[Ingredient] = []
    needs: list[str] = []
    order: list[Mapping[str, object]] = []
    for number, step in enumerate(steps, 1):
        if isinstance(step, str):
            register, found = MODELS.registered(planner, step)
            key = register.key if register else None
            served.append(ServedStep(name=step, model=step, register_key=key))
            needs += [register.name] if register else []
        else:
            one, found, needed = planned(planner, service, f"{step.run}", step, number)
            served.append(one)
            needs += needed
        made_of += [each for each in found if each not in made_of]
        order.append({"model": served[-1].model, "command": served[-1].command})
    made_of.append(setting("pipeline", order))
    return tuple(served), made_of, needs
