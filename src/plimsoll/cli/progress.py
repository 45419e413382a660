"""What a run shows while it runs: one line when a step begins or ends, and a sign of life from long ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from plimsoll.evidence.observation import Observation
from plimsoll.state.logs import last_words

SIGN_OF_LIFE = 10.0
"""Seconds of silence after which a running step is mentioned again."""


class Progress:
    """A listener of the engine that prints lines."""

    def __init__(self, write: Callable[[str], None], logs: Path) -> None:
        self._write = write
        self._logs = logs
        self._lock = threading.Lock()
        self._running: dict[str, float] = {}
        self._wide = 0
        self._over = threading.Event()
        threading.Thread(target=self._show_signs_of_life, daemon=True, name="progress").start()

    def __call__(self, seen: Observation) -> None:
        """Show one observation, if it is worth a line."""
        show = getattr(self, "_on_" + seen.event.replace("-", "_"), None)
        if show:
            with self._lock:
                show(seen.subject, seen.fact)

    def close(self) -> None:
        """No more signs of life."""
        self._over.set()

    def _line(self, sign: str, step: str, text: str) -> None:
        self._write(f"  {sign} {step:<{self._wide}}  {text}".rstrip())

    def _on_run_planned(self, _: str, fact: Mapping[str, Any]) -> None:
        self._wide = max((len(step["name"]) for step in fact["steps"]), default=0)
        self._write(f"{fact['application']} on {fact['target']}, run {fact['run']}")
        if fact.get("left_over"):
            self._write(f"  ended {fact['left_over']} processes that an interrupted run had left")

    def _on_step_started(self, step: str, _: Mapping[str, Any]) -> None:
        self._running[step] = time.monotonic()
        self._line("▸", step, "started")

    def _on_rendezvous_ready(self, step: str, fact: Mapping[str, Any]) -> None:
        self._line("·", step, f"rendezvous at {fact['address']}")

    def _on_waiting(self, step: str, fact: Mapping[str, Any]) -> None:
        self._line("·", step, f"waiting: {fact['reason']}")

    def _on_attempt_failed(self, step: str, fact: Mapping[str, Any]) -> None:
        if fact["again_in"] is not None:
            self._line("!", step, f"{fact['reason']}; again in {fact['again_in']:g} s")

    def _on_step_ended(self, step: str, fact: Mapping[str, Any]) -> None:
        began = self._running.pop(step, None)
        took = f"{time.monotonic() - began:.1f} s" if began is not None else ""
        if fact["state"] == "done":
            self._line("✓", step, "cached" if fact["cached"] else "  ".join([took, _figure(fact["result"])]))
        elif fact["state"] == "failed":
            self._line("✗", step, f"failed: {fact['reason']}")
            for line in _tail(self._logs / step):
                self._write(f"      {line}")
        else:
            self._line("-", step, f"{fact['state']}: {fact['reason']}")

    def _show_signs_of_life(self) -> None:
        while not self._over.wait(SIGN_OF_LIFE):
            with self._lock:
                for step, began in self._running.items():
                    newest = max((self._logs / step).glob("*.log"), key=lambda log: log.stat().st_mtime, default=None)
                    said = last_words(newest, 80) if newest else ""
                    self._line("…", step, f"{time.monotonic() - began:.0f} s  {said}")


def _figure(result: Mapping[str, Any]) -> str:
    """The most telling figure of a result."""
    if "version" in result:
        words = "accepted" if result["accepted"] else "not accepted: " + "; ".join(result["refusals"])
        return f"version {result['version']}, {words}"
    if "latency_ms" in result:
        return f"answered in {result['latency_ms']:.1f} ms{' at ' + result['url'] if result.get('url') else ''}"
    if "rows" in result:
        return f"{result['rows']} rows"
    figures = [(name, value) for name, value in (result.get("metrics") or {}).items() if "baseline" not in name]
    return ", ".join(f"{name} {value:.4g}" for name, value in figures[:3])


def _tail(directory: Path, count: int = 5) -> list[str]:
    """The last lines of the newest log of a step."""
    newest = max(directory.glob("*.log"), key=lambda log: log.stat().st_mtime, default=None)
    if newest is None:
        return []
    lines = newest.read_text(encoding="utf-8", errors="replace")[-4000:].splitlines()
    return [line[:200] for line in lines[-count:]]
