"""The example of an assistant: its file, and what its script makes of the documents."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from plimsoll.assistants.questions import read_questions
from plimsoll.kinds.table import KINDS

EXAMPLE = Path(__file__).parents[2] / "examples" / "assistant"
POD = r"""=head2 How do I print X<print> C<< $x >>?

Use L<print|perlfunc/print> or C<say>. E<lt>STDIN> is read.

=over 4

=item a

=back

=head1 NEXT
"""


def test_the_file_is_right_and_its_questions_are_judged_ones() -> None:
    KINDS.check(KINDS.load(EXAMPLE / "plimsoll.yaml"))
    judged = read_questions((EXAMPLE / "questions.jsonl").read_bytes(), "questions.jsonl")
    assert (len(judged), sum(each.unanswerable for each in judged)) == (61, 12)
    assert {name for each in judged for name in each.documents if not name.startswith("perlfaq")} == set()


def test_a_section_of_the_documents_becomes_plain_text() -> None:
    tree = ast.parse((EXAMPLE / "sections.py").read_text())
    # The functions alone: the rest fetches the documents.
    tree.body = [node for node in tree.body if not isinstance(node, ast.With | ast.Expr)]
    known: dict[str, Any] = {}
    exec(compile(tree, "sections.py", "exec"), known)
    [(heading, body)] = known["SECTION"].findall(POD)
    plain, slug = known["plain"], known["slug"]
    assert plain(heading) == "How do I print print $x?"
    assert plain(body) == "Use print or say. <STDIN> is read."
    assert (
        slug(Path("perlfaq4.pod"), "How do I print it all at once, please?") == "perlfaq4/how-do-i-print-it-all-at-once"
    )
