"""Chat requests to assistants: who may ask as whom, and what is then begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.llms.errors import BadRequest
from plimsoll.llms.requests import Asked
from plimsoll.runtime.server.assistants.answering import Questioning
from plimsoll.runtime.server.assistants.question import read_question
from plimsoll.runtime.server.assistants.served import ELSEWHERE, ServedAssistant
from plimsoll.runtime.server.refusals import NotReady, Refusal

if TYPE_CHECKING:
    from plimsoll.runtime.server.data_plane import DataPlane
    from plimsoll.runtime.server.heads import Head


async def begun(plane: DataPlane, asked: Asked, head: Head, client: str) -> Questioning:
    """An answer that has not begun. Labels are taken only from who has the token of the service.

    Raises BadRequest and refusals, of which the latter are recorded.
    """
    if asked.kind != "chat":
        raise BadRequest(ELSEWHERE, "model")
    question = read_question(asked)
    plane.inferences += 1
    try:
        if question.extension.access is not None:
            await plane.administration.check(head.headers)
        served = plane.catalog.choose(asked.model, None, head.headers)
        if not isinstance(served, ServedAssistant):
            raise NotReady(f"'{asked.model[:80]}' is not loaded")
        if plane.observers.blocked:
            raise NotReady(plane.observers.blocked)
        return Questioning(plane, served, question, head.headers, client)
    except Refusal as refusal:
        plane.refused_before(asked.model, head.headers, client, refusal)
        raise
