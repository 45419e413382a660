"""Applications: load a file, plan it, run it, look at its runs, call its services."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parameters import Parameter
from plimsoll.engine.application_run import ApplicationRun
from plimsoll.engine.cleaning.cleaning import KEEP, Cleaned, Cleaning
from plimsoll.engine.curves import curves_of
from plimsoll.engine.history import RunHistory
from plimsoll.engine.preparation import Prepared, decide, prepare, target_for
from plimsoll.engine.run_status import run_status
from plimsoll.engine.sweep.asked import Searched, SweepWish, register_winner, searched_texts, sweep_run
from plimsoll.engine.sweep.earlier import recorded_sweep
from plimsoll.engine.sweep.space import settings_of
from plimsoll.engine.sweep.trials import Sweep
from plimsoll.evidence.observation import Observation
from plimsoll.kinds.table import KINDS
from plimsoll.planning.changes import Decision
from plimsoll.planning.steps import Plan
from plimsoll.registry.versions import ModelVersion
from plimsoll.report.write import write_report
from plimsoll.state.curves import Series
from plimsoll.state.directory import LOCAL
from plimsoll.targets.features import CALL
from plimsoll.targets.models import model_registry
from plimsoll.targets.options import TargetOptions
from plimsoll.targets.port import Target


class ServiceClient:
    """A service that answers now. `url` is its address, `model` the name of its model."""

    def __init__(self, url: str, model: str, token: str = "", host: str = "", certificate: str = "") -> None:
        """`token`, `host` and `certificate` are as `plimsoll.runtime.client.calling_as` takes them."""
        self.url = url
        self.model = model
        self._as = (token, host, certificate)

    def infer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:  # Any: the protocol's JSON
        """The answer to one request of the Open Inference Protocol v2: an object with `inputs`.

        Raises RequestError with the service's reason when it refuses the request.
        """
        from plimsoll.runtime import client

        with client.calling_as(*self._as):
            return client.infer(self.url, self.model, dict(request))

    def predict(self, path: Path | str) -> Iterator[Mapping[str, Any]]:  # Any: of each output's own type
        """One mapping for each row of a CSV or Parquet file: the row's number and the model's outputs by name.

        Raises PlimsollError for a file that does not fit the model.
        """
        from plimsoll.runtime.client import calling_as
        from plimsoll.runtime.predict import predict_rows

        with calling_as(*self._as):
            rows = predict_rows(self.url, self.model, Path(path))
        return self._read(rows)

    def _read(self, rows: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The rows, each asked for as who has made this client: between two of them others may be asked."""
        from plimsoll.runtime.client import calling_as

        while True:
            with calling_as(*self._as):
                row = next(rows, None)
            if row is None:
                return
            yield row


class PlannedRun(Struct, frozen=True, kw_only=True):
    """What a run would do: `plan` has the steps in order, `decisions` say of each whether it runs, and why."""

    plan: Plan
    decisions: tuple[Decision, ...]
    providers: Mapping[str, str]


class SweptModel(Struct, frozen=True, kw_only=True):
    """What came of a sweep: `history` of its run, `sweep` with its trials, `version` that was registered, or None."""

    history: RunHistory
    sweep: Sweep
    version: ModelVersion | None = None


class Application:
    """One application on one target, or on those that its file names. Nothing is started or written until `run`.

    `options` are what the command line's flags for clusters say. Use it as a context manager, or call `close`, when
    the target is a cluster.
    """

    def __init__(self, file: ApplicationFile, target: str | None = LOCAL, options: TargetOptions | None = None) -> None:
        self._file = file
        self._target: Target = target_for(file, target, options)

    @property
    def name(self) -> str:
        """`metadata.name` of the file."""
        return self._file.application.name

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    @property
    def target(self) -> str:
        """The name of the target."""
        return self._target.name

    def plan(self, force: Sequence[str] = (), *, parameters: Mapping[str, Parameter] | None = None) -> PlannedRun:
        """What a run would do with each step, and why. `force` and `parameters` are as for `run`.

        Raises FileError for a mistake in the file, or a step that requests more than the target has; TargetError when
        the target cannot be reached.
        """
        prepared = self._prepared(force, parameters or {})
        return PlannedRun(plan=prepared.plan, decisions=decide(prepared), providers=prepared.facts.providers)

    def run(
        self,
        on_event: Callable[[Observation], None] = lambda _: None,
        *,
        force: Sequence[str] = (),
        parameters: Mapping[str, Parameter] | None = None,
    ) -> RunHistory:
        """Run the application to its end: finished steps are not repeated, an interrupted run resumes.

        `force` names steps, such as `train/triage`, or parts, to carry out again although they have results.
        `parameters` change those of the file for this run.

        `on_event` is called with every observation, after it is in the journal. A failed step is not an exception:
        see the `state` of the history. Raises as `plan` does, and TargetError while another run is under way.
        """
        return ApplicationRun(self._prepared(force, parameters or {})).carry_out(on_event)

    def sweep(
        self,
        model: str | None = None,
        *,
        grid: Searched | None = None,
        random: Searched | None = None,
        optuna: Searched | None = None,
        trials: int | None = None,
        objective: str | None = None,
        maximize: bool | None = None,
        parallel: int | None = None,
        stop_early: str | None = None,
        grace: float = 0.0,
        seed: int = 0,
        retry_failed: bool = False,
        tag: str | None = None,
        parameters: Mapping[str, Parameter] | None = None,
        on_event: Callable[[Observation], None] = lambda _: None,
    ) -> SweptModel:
        """Train a model with many values of its parameters, and register the best trial that is accepted.

        `grid`, `random` and `optuna` map a parameter to its choices, or to a range such as `"log:1e-3:1e-1"`. The other
        arguments are the options of `plimsoll sweep`. A sweep that was interrupted goes on: trials that have ended are
        not done again. Where no trial is accepted, `version` is None and the state of the history is `failed`.

        Raises as `run` does, and FileError for what does not fit the file.
        """
        wish = SweepWish(
            model=model,
            grid=searched_texts(grid or {}, "grid"),
            random=searched_texts(random or {}, "random"),
            optuna=searched_texts(optuna or {}, "optuna"),
            trials=trials,
            objective=objective,
            maximize=maximize,
            parallel=parallel,
            stop_early=stop_early,
            grace=grace,
            seed=seed,
            retry_failed=retry_failed,
            tag=tag,
            settings=settings_of(parameters or {}),
        )
        run = sweep_run(wish, self._file.path, self._target)
        history = run.carry_out(on_event)
        return SweptModel(history=history, sweep=run.sweep, version=register_winner(run, history, tag))

    def trials(self, run: str | None = None) -> Sweep:
        """The newest sweep with its trials so far, or the one of the run with that id.

        Raises PlimsollError when there is none.
        """
        return recorded_sweep(self._target.state, run)

    def status(self, run: str | None = None) -> RunHistory:
        """The newest run, or the one with that id; `killed` is the state of one that nobody carries out any longer.

        Raises PlimsollError when there is none.
        """
        return run_status(self._target.state, run)

    def runs(self) -> Sequence[str]:
        """The ids of all runs on this target, oldest first."""
        return self._target.state.run_ids()

    def curves(self, run: str | None = None) -> Mapping[str, Series]:
        """The curves of the newest run's trainings, or of another run's, over all of their attempts.

        They map a model to its figures, and each figure to its points (step and value). Raises as `status` does.
        """
        return curves_of(self._target.state, self.status(run).steps)

    def clean(self, keep: int = KEEP, *, dry_run: bool = False) -> Cleaned:
        """Remove what neither the newest `keep` runs need, nor services, tags or accepted versions; or only find it.

        Raises TargetError while another clean goes on, and PlimsollError when it is not known what a run needs.
        """
        cleaning = Cleaning(self._target, keep)
        return cleaning.find() if dry_run else cleaning.carry_out()

    def report(self, run: str | None = None) -> Path:
        """Write a run's page, and give its path. Raises PlimsollError when there is no such run."""
        return write_report(self._target.state, self.status(run).run)

    def models(self) -> Sequence[ModelVersion]:
        """Every registered version of the application's models."""
        return tuple(model_registry(self._target.state).versions())

    def services(self) -> Mapping[str, str]:
        """The addresses of the services that are up, by name."""
        return self._target.services()

    @contextlib.contextmanager
    def service(self, name: str, *, token: str = "") -> Iterator[ServiceClient]:
        """A service for as long as the block runs; on this machine one that is not up is started for it.

        `token` is sent to a service that asks its callers who they are.

        Raises TargetError when it does not come up, ModelRefused when its model may not be served.
        """
        with self._target.features.require(CALL)(self._file, name) as up:
            yield ServiceClient(up.url, up.model, token, up.host, up.certificate)

    def close(self) -> None:
        """Close the connections to the target."""
        self._target.close()

    def __enter__(self) -> Application:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepared(self, force: Sequence[str], parameters: Mapping[str, Parameter]) -> Prepared:
        return prepare(self._file.path, self._target, settings=settings_of(parameters), force=force)


def load(path: Path | str, target: str | None = LOCAL, options: TargetOptions | None = None) -> Application:
    """The application of a file, or of the plimsoll.yaml in a directory, on a target.

    `target` is `local`, a context of the kubeconfig or a name of the file; with None each part is on the target that it
    names. Raises FileError for a file that is malformed, with the place
    of the mistake.
    """
    path = Path(path)
    return Application(KINDS.load(path / "plimsoll.yaml" if path.is_dir() else path), target, options)
