"""How relevant a passage is to a question, as one number from 0 to 1 for every way to search. Pure."""

from __future__ import annotations

from plimsoll.assistants.languages import language_of
from plimsoll.assistants.terms import DEFAULT, stems_in


def relevance(search: str, question: str, score: float, text: str) -> float:
    """The cosine where vectors are compared, and without them the share of the question's words in the passage.

    The score of a search by words has no bound and no meaning apart from others of the same search.
    """
    if search != "lexical":
        return round(max(0.0, min(1.0, score)), 4)
    language = language_of(question) or DEFAULT
    asked = set(stems_in(question, language))
    if not asked:
        return 0.0
    return round(len(asked & set(stems_in(text, language))) / len(asked), 4)
