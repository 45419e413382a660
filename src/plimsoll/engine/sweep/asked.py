"""What somebody asks of a sweep, in the words of the command line, made into the run that carries it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from plimsoll.application.parameters import Parameter, ParameterError, as_text
from plimsoll.engine.history import RunHistory
from plimsoll.engine.preparation import prepare, with_parameters
from plimsoll.engine.sweep.median_rule import MedianRule
from plimsoll.engine.sweep.objective import objective_of, series_of
from plimsoll.engine.sweep.space import Space, space_of
from plimsoll.engine.sweep.sweep_run import SweepRequest, SweepRun, model_to_sweep
from plimsoll.errors import FileError
from plimsoll.kinds.model import MODELS
from plimsoll.kinds.register import RegisterResult
from plimsoll.kinds.table import KINDS
from plimsoll.registry.index_entries import require_tag
from plimsoll.registry.versions import ModelVersion
from plimsoll.targets.models import model_registry
from plimsoll.targets.options import TargetOptions
from plimsoll.targets.port import Target

Searched = Mapping[str, str | Sequence[Parameter]]
"""By parameter, a range such as `log:1e-4:1e-1`, or its choices."""


class SweepWish(Struct, frozen=True, kw_only=True):
    """What is asked for: `grid`, `random` and `optuna` as `NAME=VALUES`, `settings` as `NAME=VALUE`.

    `model` may be left out where the file has one. `objective`, `maximize`, `trials` and `parallel` are chosen when
    they are None. `stop_early` names a series such as `loss:min`, and `grace` the step before which none is stopped.
    """

    model: str | None = None
    grid: Sequence[str] = ()
    random: Sequence[str] = ()
    optuna: Sequence[str] = ()
    trials: int | None = None
    objective: str | None = None
    maximize: bool | None = None
    parallel: int | None = None
    stop_early: str | None = None
    grace: float = 0.0
    seed: int = 0
    retry_failed: bool = False
    tag: str | None = None
    settings: Sequence[str] = ()


def sweep_run(
    wish: SweepWish, file: Path, target: str | Target | None, options: TargetOptions | None = None
) -> SweepRun:
    """The run that carries a sweep out, as yet without having begun; without a target, where the file has its parts.

    Raises FileError for what does not fit the file, TargetError when the target cannot be reached. Whoever asks closes
    the target of what is prepared.
    """
    if wish.tag is not None:
        require_tag(wish.tag)
    loaded = with_parameters(KINDS.load(file), wish.settings)
    name = model_to_sweep(loaded, wish.model)
    space = space_of(loaded.application.parameters, grid=wish.grid, random=wish.random, optuna=wish.optuna)
    if twice := [each for each in wish.settings if each.partition("=")[0] in space.names]:
        raise FileError(f"'{twice[0]}' is searched", where="--set", hint="leave it out, or search something else")
    request = _request(wish, name, space, MODELS.of(loaded.application)[name].accept)
    prepared = prepare(file, target, options, settings=wish.settings, steps=(f"register/{name}",))
    try:
        return SweepRun(prepared, request)
    except BaseException:  # whatever happens, also Ctrl-C: the target that was opened here is closed
        if target is None or isinstance(target, str):
            prepared.target.close()
        raise


def searched_texts(searched: Searched, where: str) -> list[str]:
    """Values of parameters as the command line names them. Raises ParameterError for a text that holds a comma."""
    return [f"{name}={_values(name, values, where)}" for name, values in searched.items()]


def register_winner(run: SweepRun, history: RunHistory, tag: str | None) -> ModelVersion | None:
    """The version of the best accepted trial, with the tag; None for a sweep that did not get that far."""
    if history.state != "done":
        return None
    result = history.step(f"register/{run.request.model}").result
    assert isinstance(result, RegisterResult)  # noqa: S101 - the step of that verb is done
    registry = model_registry(run.prepared.state)
    version = registry.find(f"{run.request.model}@{result.version}")
    if tag is not None:
        registry.tag(version, tag)
    return version


def _request(wish: SweepWish, model: str, space: Space, accept: Mapping[str, str]) -> SweepRequest:
    wanted = objective_of(wish.objective, wish.maximize, accept, model)
    if wish.grace and not wish.stop_early:
        raise FileError("--grace is only for --stop-early", where="--grace", hint="leave it out, or add --stop-early")
    return SweepRequest(
        model=model,
        space=space,
        objective=wanted,
        trials=wish.trials,
        seed=wish.seed,
        parallel=wish.parallel,
        rule=MedianRule(series=series_of(wish.stop_early, wanted), grace=wish.grace) if wish.stop_early else None,
        retry_failed=wish.retry_failed,
    )


def _values(name: str, values: str | Sequence[Parameter], where: str) -> str:
    if isinstance(values, str):
        return values
    texts = [as_text(value) for value in values]
    if divided := [text for text in texts if "," in text]:
        hint = "leave the comma out, or search a word that stands for the text"
        raise ParameterError(f"the value '{divided[0]}' of '{name}' has a comma", where=where, hint=hint)
    return ",".join(texts)
