"""Logs a finished run to the user's experiment tracker."""

from __future__ import annotations

from plimsoll.engine.run_status import run_status
from plimsoll.report.write import gather_report
from plimsoll.state.directory import StateDirectory
from plimsoll.telemetry.mlflow import LoggedModel, log_run


def log_to_mlflow(state: StateDirectory, run: str, uri: str) -> str:
    """Log a run and its models; returns MLflow's run id. Raises the errors of `telemetry.mlflow.log_run`."""
    report = gather_report(state, run_status(state, run))
    history = report.history
    models = [
        LoggedModel(
            name=model.name,
            digest=model.digest,
            metrics=model.metrics,
            tags={
                "plimsoll.version": str(model.version),
                "plimsoll.accepted": str(not model.refusals).lower(),
                **{f"plimsoll.data.{name}": digest for name, digest in model.data.items()},
                **{f"plimsoll.code.{name}": digest for name, digest in model.code.items()},
            },
            curve=[
                (int(step), name, value)
                for name, points in report.curves.get(model.name, {}).items()
                for step, value in points
            ],
        )
        for model in report.models
    ]
    parameters = {f"{step.name}.key": step.key for step in history.steps}
    at_ms = int((history.ended or history.started).timestamp() * 1000)  # type: ignore[union-attr]
    return log_run(
        uri, run, history.application, parameters=parameters, models=models, state=history.state, at_ms=at_ms
    )
