"""What is said in place of an answer that the documents do not give, in the language of the question. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

NAMED = 3
"""Documents that are named as the nearest."""
_WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "english": ("The documents do not answer this.", "The nearest are: {}."),
        "german": ("Die Dokumente beantworten das nicht.", "Am nächsten kommen: {}."),
        "french": ("Les documents ne répondent pas à cette question.", "Les plus proches sont : {}."),
        "spanish": ("Los documentos no responden a esto.", "Los más cercanos son: {}."),
        "italian": ("I documenti non rispondono a questa domanda.", "I più vicini sono: {}."),
        "portuguese": ("Os documentos não respondem a isto.", "Os mais próximos são: {}."),
        "dutch": ("De documenten geven hierop geen antwoord.", "Het dichtst in de buurt komen: {}."),
    }
)


def refusal(language: str | None, nearest: Sequence[str]) -> str:
    """One or two sentences: that there is no answer, and which documents came nearest."""
    none, near = _WORDS.get(language or "english", _WORDS["english"])
    return f"{none} {near.format(', '.join(nearest[:NAMED]))}" if nearest else none
