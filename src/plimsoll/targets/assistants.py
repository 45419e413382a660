"""The service file of an assistant, the same on every target: with it its index and its language model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from plimsoll.application.prompts import read_prompt
from plimsoll.assistants.prompt import RULES
from plimsoll.assistants.settings import AssistantSettings
from plimsoll.kinds.assistant import AssistantPlan
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.runtime.server.traffic import Share
from plimsoll.targets.predictors import ALONE


def assistant_file(plan: AssistantPlan, index: ModelFile, llm: ModelFile, rules: str) -> ServiceFile:
    """The assistant first, by whose name the service goes. `rules` are the words for the language model."""
    settings = AssistantSettings(
        index=index.name,
        llm=llm.name,
        rules=rules,
        refuse=plan.refuse,
        tokens=plan.tokens,
        seconds=plan.seconds,
        top=plan.top,
    )
    digest = hashlib.sha256(msgspec.json.encode([settings, index.digest, llm.digest])).hexdigest()
    answers = ModelFile(name=plan.name, version=ALONE, digest=f"sha256:{digest}", assistant=settings)
    return ServiceFile(models=(answers, index, llm), traffic={plan.name: (Share(version=ALONE, weight=100),)})


def rules_of(plan: AssistantPlan, directory: Path) -> str:
    """The words for the language model; `directory` is the application's. Raises PlimsollError for a missing file."""
    return RULES if plan.prompt is None else read_prompt(directory, plan.prompt)
