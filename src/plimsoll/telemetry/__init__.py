"""Telemetry: metrics, logs, traces, drift, alerts, dashboards and MLflow."""
