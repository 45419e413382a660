"""The input of every rule's function."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.documents.places import Keys
from plimsoll.submission.finding import RuleMatch, Severity
from plimsoll.submission.questionnaire import Questionnaire, QuestionnaireEntry
from plimsoll.submission.submission_files import SubmissionFiles
from plimsoll.submission.version_requirements import VersionRequirements


class RuleContext(Struct, frozen=True, kw_only=True):
    """One questionnaire and everything that the rules compare it with.

    `expected` is None for a version whose requirements are not known. `members` is None without a landscape file.
    """

    questionnaire: Questionnaire
    expected: VersionRequirements | None
    files: SubmissionFiles
    members: frozenset[str] | None = None

    @property
    def entries(self) -> tuple[QuestionnaireEntry, ...]:
        """Every requirement in the questionnaire."""
        return self.questionnaire.entries

    def level(self, entry: QuestionnaireEntry) -> str:
        """The level of an entry's requirement.

        It is the template's, as for the official validator; an empty string for a requirement that the version does
        not have. When the version is not known, it is the level that the entry states.
        """
        return self.expected.levels.get(entry.id, "") if self.expected else entry.level

    def at_field(
        self, entry: QuestionnaireEntry, field: str, why: str, fix: str, severity: Severity | None = None
    ) -> RuleMatch:
        """A match at a field of an entry, or at the entry itself when the field is missing."""
        path = (*entry.path, field) if field in entry.keys else entry.path
        return self.at_path(path, why, fix, entry, severity)

    def at_path(
        self, path: Keys, why: str, fix: str, entry: QuestionnaireEntry | None = None, severity: Severity | None = None
    ) -> RuleMatch:
        """A match at the value of a path."""
        place = self.questionnaire.place(*path)
        return RuleMatch(place=place, why=why, fix=fix, requirement=entry.id if entry else "", severity=severity)

    def at_metadata(self, field: str, why: str, fix: str, severity: Severity | None = None) -> RuleMatch:
        """A match at a metadata field, or at the section when the field is missing."""
        path = self.questionnaire.metadata_paths.get(field, ("metadata",))
        return self.at_path(path, why, fix, severity=severity)
