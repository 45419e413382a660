"""The service file of an assistant on this machine: its index and its language model are versions beside it."""

from __future__ import annotations

from pathlib import Path

from plimsoll.kinds.assistant import AssistantPlan
from plimsoll.kinds.serve import Serve
from plimsoll.runtime.server.service_file import ServiceFile
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.assistants import assistant_file, rules_of
from plimsoll.targets.llms import llm_files, llm_version
from plimsoll.targets.local.own_code import version_file
from plimsoll.targets.models import version_for_use


def assistant_service(
    work: Serve, plan: AssistantPlan, state: StateDirectory, directory: Path, memory: int | None
) -> ServiceFile:
    """What a server is told of it. `directory` is the application's.

    Raises ModelRefused for a version that was altered or missed its bounds, PlimsollError for rules that are not there.
    """
    assert work.llm is not None  # noqa: S101 - an assistant has one
    version, files = version_for_use(state, plan.index, plan.index_key)
    index = version_file(version, files, None)
    llm = llm_version(work.llm, llm_files(state, work.llm), memory)
    return assistant_file(plan, index, llm, rules_of(plan, directory))
