"""Check that a service of a language model answers: one token, twice."""

from __future__ import annotations

import time

from plimsoll.errors import RequestError
from plimsoll.runtime import client
from plimsoll.runtime.inference_check import Checked

LIMIT = 120.0
"""Seconds for one token: an engine that has just been started reads its model from the disk."""


def check_llm(url: str, name: str) -> Checked:
    """Ask twice, and give the second, warm request. Raises RequestError with the service's reason."""
    request = {"model": name, "messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 1}
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        answer = client.chat(url, request, limit=LIMIT)
        seconds = time.perf_counter() - began
    if not isinstance(answer.get("choices"), list) or not answer["choices"]:
        raise RequestError("the answer has no `choices`, as the OpenAI API has them", where=url, lasting=True)
    return Checked(seconds=seconds, request=request)
