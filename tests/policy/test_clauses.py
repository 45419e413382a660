from __future__ import annotations

import pytest

from plimsoll.cli.main import VERBS
from plimsoll.errors import FileError
from plimsoll.policy.clauses import FRAMEWORKS, framework_named


def test_every_clause_has_evidence_with_a_command_that_there_is_or_says_that_it_is_not_covered() -> None:
    for framework in FRAMEWORKS:
        numbers = [clause.number for clause in framework.clauses]
        assert len(numbers) == len(set(numbers))
        for clause in framework.clauses:
            assert clause.about
            for evidence in clause.evidence:
                program, verb = evidence.shown.split()[:2]
                assert (program, verb in VERBS) == ("plimsoll", True), evidence.shown


def test_something_of_every_framework_is_covered_and_something_is_not() -> None:
    for framework in FRAMEWORKS:
        assert any(clause.evidence for clause in framework.clauses)
        assert any(not clause.evidence for clause in framework.clauses)


def test_a_framework_that_is_misspelt_is_told() -> None:
    with pytest.raises(FileError, match="no framework 'gdrp'") as refused:
        framework_named("gdrp")
    assert "gdpr" in refused.value.hint
