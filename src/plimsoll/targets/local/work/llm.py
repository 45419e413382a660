"""Holds a language model and its adapters against the settings, by the headers of their files."""

from __future__ import annotations

from plimsoll.kinds.llm import LlmResult, PrepareLlm
from plimsoll.targets.attempt import Progress, done
from plimsoll.targets.llms import judged, llm_files
from plimsoll.targets.local.attempt import LocalAttempt


def prepare_llm(attempt: LocalAttempt[PrepareLlm]) -> Progress:
    """Read the headers of the verified files; of an endpoint nothing is asked."""
    yield from ()
    llm = attempt.work.llm
    if llm.endpoint is not None:
        return done(LlmResult(engine=llm.engine, url=llm.endpoint.url))
    return done(judged(llm, llm_files(attempt.context.state, llm)))
