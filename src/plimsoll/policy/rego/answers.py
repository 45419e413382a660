"""What the answers of rules mean: each message is a finding, and what is no message is never a pass. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from plimsoll.policy.findings import Judged, Verdict
from plimsoll.policy.rego.engine import Answer

GATE = "rules"
_LONGEST = 2000
_MOST = 1000
_FORM = 'give texts, or objects such as {"msg": "…", "where": step.place, "remedy": "…"}'


def judged(answers: Sequence[Answer], about: str) -> tuple[Judged, ...]:
    """The findings of rules about a thing, such as a plan; one that says that nothing was denied, if nothing was."""
    found = [each for answer in answers for each in _of(answer, about)]
    if found:
        return tuple(found)
    asked = ", ".join(dict.fromkeys(answer.query.package for answer in answers))
    return (Judged(gate=GATE, about=about, verdict="passed", reason=f"{asked} denies nothing"),)


def _of(answer: Answer, about: str) -> Iterator[Judged]:
    query = answer.query
    if answer.problem:
        yield _unknown(answer, about, answer.problem, "mend the rule: what cannot be judged does not pass")
        return
    if answer.value is None:
        # Undefined: a set that has no members, or a rule that has no value for this input.
        return
    value = answer.value
    if isinstance(value, dict) and all(each is True for each in value.values()):
        # The older form, `deny[message]`, makes an object in the present version of the language.
        value = [*value]
    if not isinstance(value, list):
        yield _unknown(answer, about, f"{query.text} is no set", f"write `{query.word} contains message if {{ … }}`")
        return
    verdict: Verdict = "broken" if query.word == "deny" else "warned"
    for member in value[:_MOST]:
        fields = {"msg": member} if isinstance(member, str) else member
        message = fields.get("msg") if isinstance(fields, dict) else None
        if not isinstance(fields, dict) or not isinstance(message, str):
            yield _unknown(answer, about, f"{query.text} gives what is no message", _FORM)
            continue
        where, remedy, named = (fields.get(key) for key in ("where", "remedy", "about"))
        yield Judged(
            gate=GATE,
            about=named[:_LONGEST] if isinstance(named, str) and named else about,
            verdict=verdict,
            reason=message[:_LONGEST],
            remedy=remedy[:_LONGEST] if isinstance(remedy, str) else f"the rule is in {query.where}",
            where=where[:_LONGEST] if isinstance(where, str) and where else query.where,
        )
    if len(value) > _MOST:
        yield _unknown(answer, about, f"{query.text} gives more than {_MOST} messages", "say less in each rule")


def _unknown(answer: Answer, about: str, reason: str, remedy: str) -> Judged:
    return Judged(gate=GATE, about=about, verdict="unknown", reason=reason, remedy=remedy, where=answer.query.where)
