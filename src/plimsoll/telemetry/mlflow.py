"""Runs, figures and model versions in MLflow, where MLFLOW_TRACKING_URI names one. Source: MLflow's tracking API."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from plimsoll.errors import MissingExtra, TargetError

LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
"""Seconds and tries, unless the caller has set them: telemetry must not hold a run up."""
TAG = "plimsoll.run"
DIGEST = "plimsoll.digest"
MOST = 500
"""Metrics in one request; MLflow takes at most 1,000."""
MOST_PARAMETERS = 100
"""Parameters in one request: MLflow's own limit."""


class LoggedModel(Struct, frozen=True, kw_only=True):
    """One model version as it is told. `curve` has (step, name, value) of its training."""

    name: str
    digest: str
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = {}
    curve: Sequence[tuple[int, str, float]] = ()


def log_run(
    uri: str,
    run: str,
    experiment: str,
    *,
    parameters: Mapping[str, str],
    models: Sequence[LoggedModel],
    state: str,
    at_ms: int,
) -> str:
    """Log a run once, however often it is called; gives MLflow's id of it. `at_ms` is its end, in ms since 1970.

    Raises MissingExtra without the extra [mlflow], TargetError when the server does not take it.
    """
    for name, value in LIMITS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError:
        raise MissingExtra("mlflow", "logging to MLFLOW_TRACKING_URI") from None
    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        return _log(client, run, experiment, parameters, models, state, at_ms)
    except (MlflowException, ValueError, OSError) as error:
        raise TargetError(
            f"MLflow did not take the run: {str(error).splitlines()[0][:300]}",
            where=uri,
            hint="the run itself is unharmed; correct or unset MLFLOW_TRACKING_URI",
        ) from error


def _log(
    client: Any,
    run: str,
    experiment: str,
    parameters: Mapping[str, str],
    models: Sequence[LoggedModel],
    state: str,
    at_ms: int,
) -> str:
    from mlflow.entities import Metric, Param, RunTag

    found = client.get_experiment_by_name(experiment)
    place = found.experiment_id if found else client.create_experiment(experiment)
    known = client.search_runs([place], filter_string=f"tags.`{TAG}` = '{run}'", max_results=1)
    if known:
        return str(known[0].info.run_id)
    logged = client.create_run(place, run_name=run, start_time=at_ms)
    identity = logged.info.run_id
    single = len(models) == 1
    metrics = []
    for model in models:
        prefix = "" if single else f"{model.name}."
        metrics += [Metric(prefix + name, value, at_ms, 0) for name, value in model.metrics.items()]
        metrics += [Metric(f"{prefix}curve.{name}", value, at_ms, step) for step, name, value in model.curve]
    for first in range(0, len(metrics), MOST):
        client.log_batch(identity, metrics=metrics[first : first + MOST])
    told = [Param(name, value[:500]) for name, value in parameters.items()]
    for first in range(0, len(told), MOST_PARAMETERS):
        client.log_batch(identity, params=told[first : first + MOST_PARAMETERS])
    for model in models:
        _register(client, identity, model)
    # The tag comes last: a run that was cut off half-way is logged anew.
    client.log_batch(identity, tags=[RunTag(TAG, run)])
    client.set_terminated(identity, status="FINISHED" if state == "done" else "FAILED", end_time=at_ms)
    return str(identity)


def _register(client: Any, run: str, model: LoggedModel) -> None:
    """A version in MLflow's model registry, once for each digest."""
    if not client.search_registered_models(filter_string=f"name = '{model.name}'"):
        client.create_registered_model(model.name)
    for version in client.search_model_versions(f"name = '{model.name}'"):
        if version.tags.get(DIGEST) == model.digest:
            return
    source = f"oci://plimsoll/{model.name}@{model.digest}"
    client.create_model_version(model.name, source=source, run_id=run, tags={DIGEST: model.digest, **model.tags})
