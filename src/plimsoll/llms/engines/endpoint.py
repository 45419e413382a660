"""Somebody else's service that speaks the OpenAI API: nothing is started, requests are handed on."""

from __future__ import annotations

from plimsoll.llms.engines.engine import Engine

ENGINE = Engine(name="endpoint", settings=frozenset({"endpoint", "slots", "limits"}), remote=True)
