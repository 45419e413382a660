"""Lines that are put together from kept parts say what lines say that are written as a whole."""

from __future__ import annotations

from datetime import datetime

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.runtime.server.observers import Answer
from plimsoll.telemetry.audit_lines import MOST_KNOWN, AuditLines
from plimsoll.telemetry.request_lines import audit_line

words = st.text(max_size=8)
shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
arrays = st.dictionaries(
    words,
    st.builds(np.zeros, shapes, st.sampled_from(["f4", "i8", "?", "O"])),
    max_size=2,
)
answers = st.builds(
    Answer,
    model=words,
    version=words,
    digest=words,
    status=st.sampled_from([200, 200, 200, 400, 503]),
    began=st.one_of(st.floats(1e9, 2e9), st.integers(10**9, 10**9 + 3).map(float)),
    seconds=st.floats(0, 9),
    inputs=arrays,
    outputs=arrays,
    headers=st.sampled_from([{}, {}, {"x-request-id": 'a"b'}, {"x-forwarded-user": "ada"}]),
    client=words,
    caller=words,
    id=st.one_of(st.none(), words),
    reason=st.sampled_from(["", "", "shape"]),
    event=st.sampled_from(["inference", "inference", "load"]),
)


@given(st.lists(answers, min_size=1, max_size=6), st.sampled_from(["", "", "4bf92f3577b34da6"]))
def test_a_line_says_what_happened_whatever_was_kept_of_others(asked: list[Answer], trace: str) -> None:
    lines = AuditLines(payloads=False)
    for answer in [*asked, *asked]:
        found = msgspec.json.decode(lines.line(answer, trace))
        wanted = msgspec.json.decode(msgspec.json.encode(audit_line(answer, trace, payloads=False)))
        moment, other = (datetime.fromisoformat(each.pop("at")) for each in (found, wanted))
        assert abs((moment - other).total_seconds()) <= 1e-6
        assert found == wanted


def test_what_is_kept_of_callers_that_never_come_again_is_bounded() -> None:
    lines = AuditLines(payloads=False)
    for number in range(2 * MOST_KNOWN + 1):
        answer = Answer(model="m", version="1", digest="d", status=200, began=1e9, seconds=0, caller=str(number))
        assert msgspec.json.decode(lines.line(answer, ""))["who"]["user"] == str(number)
    assert len(lines._known) <= MOST_KNOWN
