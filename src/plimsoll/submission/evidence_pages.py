"""Writes one Markdown page per answer for the reviewer; code hosts render it. Pure."""

from __future__ import annotations

from plimsoll.capabilities.bundle_reader import Bundle
from plimsoll.capabilities.checking import PROBES, Judged
from plimsoll.capabilities.requirements import REQUIREMENTS
from plimsoll.evidence.timeline import Line, namespaces, span, timeline
from plimsoll.evidence.verdict import Outcome
from plimsoll.submission.answers import BUNDLE_DIRECTORY

MAX_OBSERVATIONS = 300
"""Observations on a page at most; the record holds all of them."""


def evidence_page(bundle: Bundle, judged: Judged) -> str:
    """The page of one requirement: what it asks, what was observed and when, and how to verify it."""
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
    lines.append(f"`{BUNDLE_DIRECTORY}/{PROBES}/{name}.jsonl` holds every observation with all of its values. One")
    lines.append(f"signature covers the directory `{BUNDLE_DIRECTORY}`; `plimsoll verify {BUNDLE_DIRECTORY}` judges it")
    lines.append("again without the cluster.")
    lines += ["", "| after | event | observed |", "|---:|---|---|", *map(_row, timeline(record)[:MAX_OBSERVATIONS])]
    if len(record) > MAX_OBSERVATIONS:
        lines.append(f"\nThe record holds {len(record) - MAX_OBSERVATIONS} more.")
    return "\n".join(lines) + "\n"


def _row(line: Line) -> str:
    return f"| {line.after:.1f} s | {_cell(line.event)} | {_cell(line.words)} |"


def _cell(text: str) -> str:
    """Escape a text from the cluster so that it stays in one cell and adds no markup."""
    clean = "".join(sign if sign.isprintable() else " " for sign in text)
    for sign in "\\`*_[]<>|~#!":
        clean = clean.replace(sign, f"&#{ord(sign)};")
    return clean
