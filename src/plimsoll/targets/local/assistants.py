"""The service file of an assistant: beside it its index and its language model, each a version of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from plimsoll.application.prompts import read_prompt
from plimsoll.assistants.prompt import RULES
from plimsoll.assistants.settings import AssistantSettings
from plimsoll.kinds.assistant import AssistantPlan
from plimsoll.kinds.serve import Serve
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.runtime.server.traffic import Share
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.llms import llm_files, llm_version
from plimsoll.targets.local.own_code import version_file
from plimsoll.targets.models import version_for_use
from plimsoll.targets.predictors import ALONE


def assistant_service(
    work: Serve, plan: AssistantPlan, state: StateDirectory, directory: Path, memory: int | None
) -> ServiceFile:
    """The assistant first, by whose name the service goes. `directory` is the application's.

    Raises ModelRefused for a version that was altered or missed its bounds, PlimsollError for rules that are not there.
    """
    assert work.llm is not None  # noqa: S101 - an assistant has one
    version, files = version_for_use(state, plan.index, plan.index_key)
    index = version_file(version, files, None)
    llm = llm_version(work.llm, llm_files(state, work.llm), memory)
    settings = AssistantSettings(
        index=index.name,
        llm=llm.name,
        rules=RULES if plan.prompt is None else read_prompt(directory, plan.prompt),
        refuse=plan.refuse,
        tokens=plan.tokens,
        seconds=plan.seconds,
        top=plan.top,
    )
    digest = hashlib.sha256(msgspec.json.encode([settings, index.digest, llm.digest])).hexdigest()
    answers = ModelFile(name=plan.name, version=ALONE, digest=f"sha256:{digest}", assistant=settings)
    return ServiceFile(models=(answers, index, llm), traffic={plan.name: (Share(version=ALONE, weight=100),)})
