"""Log runs, metrics and model versions to MLflow at MLFLOW_TRACKING_URI. Source: MLflow's tracking API."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from plimsoll.errors import MissingExtra, TargetError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CLIENT_DEFAULTS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
"""Seconds and retries, unless the caller has set them: telemetry must not delay a run."""
RUN_TAG = "plimsoll.run"
DIGEST_TAG = "plimsoll.digest"
METRICS_PER_REQUEST = 500
"""Metrics of one request; MLflow accepts at most 1,000."""
PARAMETERS_PER_REQUEST = 100
"""Parameters of one request: MLflow's limit."""


class LoggedModel(Struct, frozen=True, kw_only=True):
    """One model version for MLflow. `curve` has (step, name, value) of its training."""

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
    """Log a run. Further calls for the same run change nothing. Returns MLflow's id of the run.

    `at_ms` is the end of the run, in ms since 1970. Raises MissingExtra without the extra [mlflow], TargetError when
    the server refuses the run.
    """
    for name, value in CLIENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError:
        raise MissingExtra("mlflow", "logging to MLFLOW_TRACKING_URI") from None
    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        return _log_to_experiment(client, run, experiment, parameters, models, state, at_ms)
    except (MlflowException, ValueError, OSError) as error:
        raise TargetError(
            f"MLflow refused the run: {str(error).splitlines()[0][:300]}",
            where=uri,
            hint="the run itself is unharmed; correct or unset MLFLOW_TRACKING_URI",
        ) from error


def _log_to_experiment(
    client: MlflowClient,
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
    known = client.search_runs([place], filter_string=f"tags.`{RUN_TAG}` = '{run}'", max_results=1)
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
    for first in range(0, len(metrics), METRICS_PER_REQUEST):
        client.log_batch(identity, metrics=metrics[first : first + METRICS_PER_REQUEST])
    logged_parameters = [Param(name, value[:500]) for name, value in parameters.items()]
    for first in range(0, len(logged_parameters), PARAMETERS_PER_REQUEST):
        client.log_batch(identity, params=logged_parameters[first : first + PARAMETERS_PER_REQUEST])
    for model in models:
        _register_version(client, identity, model)
    # The tag comes last: an interrupted run is logged again.
    client.log_batch(identity, tags=[RunTag(RUN_TAG, run)])
    client.set_terminated(identity, status="FINISHED" if state == "done" else "FAILED", end_time=at_ms)
    return str(identity)


def _register_version(client: MlflowClient, run: str, model: LoggedModel) -> None:
    """Register a version in MLflow's model registry, once for each digest."""
    if not client.search_registered_models(filter_string=f"name = '{model.name}'"):
        client.create_registered_model(model.name)
    for version in client.search_model_versions(f"name = '{model.name}'"):
        if version.tags.get(DIGEST_TAG) == model.digest:
            return
    source = f"oci://plimsoll/{model.name}@{model.digest}"
    client.create_model_version(model.name, source=source, run_id=run, tags={DIGEST_TAG: model.digest, **model.tags})
