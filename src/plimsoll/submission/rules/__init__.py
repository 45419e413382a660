"""The table of lint rules. A new rule is a function, a line here, and a heading in docs/lint.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from plimsoll.submission.finding import RuleMatch, Severity
from plimsoll.submission.rules import artifacts, document, evidence, metadata, notes, requirements, status, urls
from plimsoll.submission.rules.context import RuleContext

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
NOT_YAML = "not-yaml"
"""The only rule without a function: the linter reports it when a file cannot be read."""


class Rule(Struct, frozen=True):
    """A rule: its stable id, the default severity of its findings, and the function that yields them."""

    id: str
    severity: Severity
    find: Callable[[RuleContext], Iterable[RuleMatch]]

    @property
    def summary(self) -> str:
        """One sentence on the rule, from the function's docstring; SARIF shows it."""
        return (self.find.__doc__ or "").strip()


RULES = (
    Rule("duplicate-key", ERROR, document.duplicate_key),
    Rule("extra-document", WARNING, document.extra_document),
    Rule("missing-section", ERROR, document.missing_section),
    Rule("wrong-type", ERROR, document.wrong_type),
    Rule("misspelt-key", WARNING, document.misspelt_key),
    Rule("missing-field", ERROR, metadata.missing_field),
    Rule("placeholder", ERROR, metadata.placeholder),
    Rule("bad-email", WARNING, metadata.bad_email),
    Rule("logo-format", ERROR, metadata.logo_format),
    Rule("not-a-member", ERROR, metadata.not_a_member),
    Rule("unknown-version", ERROR, metadata.unknown_version),
    Rule("bad-version", WARNING, metadata.bad_version),
    Rule("version-mismatch", WARNING, metadata.version_mismatch),
    Rule("bad-conformance-url", ERROR, metadata.bad_conformance_url),
    Rule("missing-category", ERROR, requirements.missing_category),
    Rule("missing-requirement", ERROR, requirements.missing_requirement),
    Rule("unknown-requirement", WARNING, requirements.unknown_requirement),
    Rule("duplicate-requirement", WARNING, requirements.duplicate_requirement),
    Rule("altered-level", WARNING, requirements.altered_level),
    Rule("altered-description", WARNING, requirements.altered_description),
    Rule("bad-status", ERROR, status.bad_status),
    Rule("must-not-implemented", ERROR, status.must_not_implemented),
    Rule("na-on-must", ERROR, status.na_on_must),
    Rule("na-without-notes", ERROR, status.na_without_notes),
    Rule("na-weak-reason", WARNING, status.na_weak_reason),
    Rule("na-conditional", NOTE, status.na_conditional),
    Rule("partial-without-notes", NOTE, status.partial_without_notes),
    Rule("no-evidence", WARNING, evidence.no_evidence),
    Rule("blank-evidence", NOTE, evidence.blank_evidence),
    Rule("evidence-file", ERROR, evidence.evidence_file),
    Rule("evidence-outside", ERROR, evidence.evidence_outside),
    Rule("evidence-other-submission", WARNING, evidence.evidence_other_submission),
    Rule("evidence-reused", WARNING, evidence.evidence_reused),
    Rule("evidence-off-topic", WARNING, evidence.evidence_off_topic),
    Rule("evidence-too-broad", NOTE, evidence.evidence_too_broad),
    Rule("url-malformed", WARNING, urls.url_malformed),
    Rule("url-not-public", ERROR, urls.url_not_public),
    Rule("url-insecure", NOTE, urls.url_insecure),
    Rule("url-personal", WARNING, urls.url_personal),
    Rule("url-moving", NOTE, urls.url_moving),
    Rule("notes-contradict", WARNING, notes.notes_contradict),
    Rule("condition-not-met", WARNING, notes.condition_not_met),
    Rule("notes-copied", WARNING, notes.notes_copied),
    Rule("no-notes", NOTE, notes.no_notes),
    Rule("artifact-unreadable", ERROR, artifacts.artifact_unreadable),
    Rule("artifact-failing", ERROR, artifacts.artifact_failing),
    Rule("artifact-test-absent", ERROR, artifacts.artifact_test_absent),
    Rule("artifact-test-skipped", ERROR, artifacts.artifact_test_skipped),
    Rule("artifact-wrong-test", WARNING, artifacts.artifact_wrong_test),
    Rule("artifact-unmapped", WARNING, artifacts.artifact_unmapped),
    Rule("artifact-disagree", WARNING, artifacts.artifact_disagree),
    Rule("artifact-advised", NOTE, artifacts.artifact_advised),
    Rule("artifact-renamed", NOTE, artifacts.artifact_renamed),
)
