from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.errors import TargetError
from plimsoll.telemetry.mlflow import DIGEST_TAG, LoggedModel, log_run

pytest.importorskip("mlflow", reason="needs the extra [mlflow]")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(420),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow tracking server on SQLite, from its own environment in the cache."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plimsoll" / "peers" / "mlflow-3.17.2"
    uv = Path(sys.executable).with_name("uv")
    if not (base / "complete").exists():
        if not uv.exists():
            pytest.skip("needs uv to make an environment with MLflow's server")
        subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, base], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", base / "bin/python", "mlflow==3.17.2"], check=True)
        (base / "complete").touch()
    directory = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [str(base / "bin/mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    argv += [
        "--backend-store-uri",
        f"sqlite:///{directory}/store.db",
        "--default-artifact-root",
        str(directory / "artifacts"),
    ]
    with (directory / "log").open("wb") as log:
        # Its workers for jobs are seven processes more, which nothing here needs.
        own = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        process = subprocess.Popen(argv, stdout=log, stderr=log, env=own, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 300
        while True:
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=5):
                    break
            except OSError:
                assert process.poll() is None, (directory / "log").read_text()
                assert time.monotonic() < deadline, (
                    "MLflow's server did not come up: " + (directory / "log").read_text()
                )
                time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def log(url: str) -> str:
    model = LoggedModel(
        name="triage", digest="sha256:ab", metrics={"accuracy": 0.5}, curve=[(1, "loss", 2.0), (2, "loss", 1.0)]
    )
    return log_run(
        url, "r-1", "maintenance", parameters={"train/triage.key": "k"}, models=[model], state="done", at_ms=5
    )


@pytest.mark.series
def test_a_run_its_metrics_and_its_model_are_found_in_a_real_server(server: str) -> None:
    from mlflow.tracking import MlflowClient

    identity = log(server)
    client = MlflowClient(tracking_uri=server, registry_uri=server)
    run = client.get_run(identity)
    assert run.data.metrics["accuracy"] == 0.5
    assert run.data.params == {"train/triage.key": "k"}
    assert run.info.status == "FINISHED"
    assert [point.value for point in client.get_metric_history(identity, "curve.loss")] == [2.0, 1.0]
    (version,) = client.search_model_versions("name = 'triage'")
    assert version.tags[DIGEST_TAG] == "sha256:ab"
    assert version.run_id == identity


@pytest.mark.series
def test_logging_the_same_run_again_changes_nothing(server: str) -> None:
    from mlflow.tracking import MlflowClient

    assert log(server) == log(server)
    client = MlflowClient(tracking_uri=server, registry_uri=server)
    assert len(client.search_model_versions("name = 'triage'")) == 1


def test_a_server_that_does_not_answer_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TargetError) as caught:
        log("http://127.0.0.1:9")
    assert "MLFLOW_TRACKING_URI" in caught.value.hint
