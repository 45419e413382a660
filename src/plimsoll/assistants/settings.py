"""An assistant as a server is told of it."""

from __future__ import annotations

from msgspec import Struct


class AssistantSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`index` and `llm` are what the same server calls them. `rules` are the words of the prompt's file.

    Without an answer below `refuse`; at most `tokens` and `seconds` for one, and `top` passages.
    """

    index: str
    llm: str
    rules: str
    refuse: float
    tokens: int
    seconds: float
    top: int
