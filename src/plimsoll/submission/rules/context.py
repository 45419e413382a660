"""What a rule's function is given."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.application.places import Keys, Place
from plimsoll.submission.expected import Expected
from plimsoll.submission.finding import Hit, Severity
from plimsoll.submission.questionnaire import Entry, Questionnaire
from plimsoll.submission.surroundings import Surroundings


class Context(Struct, frozen=True, kw_only=True):
    """One questionnaire with what it is judged by.

    `expected` is None for a version without a template; `members` is None when no landscape file was given.
    """

    questionnaire: Questionnaire
    expected: Expected | None
    surroundings: Surroundings
    members: frozenset[str] | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every answered requirement."""
        return self.questionnaire.entries

    def level(self, entry: Entry) -> str:
        """The level by which an entry is judged: the template's, as the official validator does, or nothing."""
        return self.expected.levels.get(entry.id, "") if self.expected else entry.level

    def at(self, entry: Entry, field: str, why: str, fix: str, severity: Severity | None = None) -> Hit:
        """A finding at a field of an entry, or at the entry when it does not have the field."""
        path = (*entry.path, field)
        place = self.questionnaire.place(*path) if field in entry.keys else self.questionnaire.place(*entry.path)
        return Hit(place=place, why=why, fix=fix, requirement=entry.id, severity=severity)

    def at_path(
        self, path: Keys, why: str, fix: str, entry: Entry | None = None, severity: Severity | None = None
    ) -> Hit:
        """A finding at a value."""
        place: Place = self.questionnaire.place(*path)
        return Hit(place=place, why=why, fix=fix, requirement=entry.id if entry else "", severity=severity)

    def at_metadata(self, field: str, why: str, fix: str, severity: Severity | None = None) -> Hit:
        """A finding at a metadata field, or at the section when the field is missing."""
        path = self.questionnaire.found.get(field, ("metadata",))
        return Hit(place=self.questionnaire.place(*path), why=why, fix=fix, severity=severity)
