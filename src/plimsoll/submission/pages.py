"""A page for a reviewer beside each answer, in Markdown, which code hosts draw. Pure."""

from __future__ import annotations

from plimsoll.capabilities.bundle_reader import Bundle
from plimsoll.capabilities.checking import PROBES, Judged
from plimsoll.capabilities.requirements import REQUIREMENTS
from plimsoll.evidence.timeline import Line, namespaces, span, timeline
from plimsoll.evidence.verdict import Outcome
from plimsoll.submission.answers import BUNDLE

MOST = 300
"""Observations listed; the record has all of them."""


def page(bundle: Bundle, judged: Judged) -> str:
    """What was asked, what was seen and when, and how to judge it again."""
    name, verdict, record = judged.requirement, judged.verdict, bundle.records[judged.requirement]
    lines = [f"# {name}", "", f"{judged.level} of {bundle.version}: {REQUIREMENTS[name].summary}.", ""]
    facts = [("verdict", verdict.outcome.value)]
    facts.append(("figure" if verdict.outcome is Outcome.PASS else "cause", verdict.figure or verdict.cause))
    if times := span(record):
        facts.append(("time", f"{times[0]:%Y-%m-%d %H:%M:%S} to {times[1]:%H:%M:%S} UTC"))
    facts += [("namespace", one) for one in namespaces(record)]
    facts += [
        ("cluster", f"Kubernetes {bundle.description.version}, {bundle.description.cluster}"),
        ("tool", bundle.description.tool),
    ]
    lines += ["| | |", "|---|---|", *(f"| {word} | {_cell(text)} |" for word, text in facts), ""]
    lines.append(f"Every observation with all of its values is in `{BUNDLE}/{PROBES}/{name}.jsonl`. The directory")
    lines.append(f"`{BUNDLE}` is signed as a whole; `plimsoll verify {BUNDLE}` judges it again without the cluster.")
    lines += ["", "| after | what | seen |", "|---:|---|---|", *map(_row, timeline(record)[:MOST])]
    if len(record) > MOST:
        lines.append(f"\n{len(record) - MOST} more are in the record.")
    return "\n".join(lines) + "\n"


def _row(line: Line) -> str:
    return f"| {line.after:.1f} s | {_cell(line.event)} | {_cell(line.words)} |"


def _cell(text: str) -> str:
    """A text that stays one cell and no markup, whatever a cluster has put into it."""
    clean = "".join(sign if sign.isprintable() else " " for sign in text)
    for sign in "\\`*_[]<>|~#!":
        clean = clean.replace(sign, f"&#{ord(sign)};")
    return clean
