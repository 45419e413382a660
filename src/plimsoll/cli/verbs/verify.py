"""`plimsoll verify`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from plimsoll.cli.options import json_option, print_json, width
from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError

if TYPE_CHECKING:
    from plimsoll.capabilities.checking import CheckDescription
    from plimsoll.evidence.bundle import Seal


@click.command("verify")
@click.argument("bundle", type=click.Path(path_type=Path, file_okay=False))
@json_option
def command(bundle: Path, as_json: bool) -> int:
    """Judge an evidence bundle again, without the cluster, and name every file that was altered.

    BUNDLE is that of a check, or of an evaluation by `plimsoll eval`.

    The exit status is 0 when no file was altered and every verdict is confirmed, else 1.
    """
    from plimsoll.capabilities import checking
    from plimsoll.evidence.bundle import check_seal
    from plimsoll.report.load_line import load_line
    from plimsoll.signing.keys import KeyRing

    seal = check_seal(bundle, KeyRing.default())
    problems = list(seal.problems)
    if "assistant" in seal.predicate:
        return _verify_evaluation(bundle, seal, as_json)
    try:
        written = msgspec.json.decode((bundle / checking.VERDICTS).read_bytes(), type=list[checking.Judged])
        described = checking.read_description(bundle)
        judged = checking.verdicts(bundle, described.profile, described.only)
    except (*UNREADABLE, OSError, KeyError) as error:
        problem = f"the bundle cannot be judged: {error}"
        if not problems:
            raise PlimsollError(problem, where=str(bundle)) from error
        judged, written, described = [], [], checking.CheckDescription(profile="", only=())
        problems.append(problem)
    differing = [one.requirement for one, other in zip(judged, written, strict=False) if one != other]
    problems += [f"{checking.VERDICTS}: the verdict of {name} differs from the record" for name in differing]
    if len(judged) != len(written):
        problems.append(f"{checking.VERDICTS}: the list of requirements differs from that of the profile")
    if as_json:
        print_json({"problems": problems, "signer": seal.signer, "about": _about(seal, described), "judged": judged})
    else:
        if judged:
            click.echo(load_line(judged, width()))
        for problem in problems:
            click.echo(f"✗ {problem}")
        click.echo(", ".join(f"{name} {value}" for name, value in _about(seal, described).items() if value))
        click.echo(_conclusion(seal, problems))
    return 1 if problems else 0


def _verify_evaluation(bundle: Path, seal: Seal, as_json: bool) -> int:
    """Judge the records of an evaluation again."""
    from plimsoll.engine.evaluating import judged_again, read

    problems = list(seal.problems)
    try:
        kept = read(bundle)
        problems += judged_again(kept)
    except PlimsollError as error:
        if not problems:
            raise
        problems.append(error.message)
    about = {"assistant": str(seal.predicate["assistant"]), "sealed": str(seal.predicate.get("ended", ""))[:19]}
    if as_json:
        print_json({"problems": problems, "signer": seal.signer, "about": about})
        return 1 if problems else 0
    for problem in problems:
        click.echo(f"✗ {problem}")
    click.echo(", ".join(f"{name} {value}" for name, value in about.items()))
    click.echo(_conclusion(seal, problems))
    return 1 if problems else 0


def _about(seal: Seal, described: CheckDescription) -> dict[str, str]:
    """Of which cluster the bundle is, of when, and by what; so that an old one does not look like a new one."""
    return {
        "cluster": str(seal.predicate.get("cluster", "")),
        "kubernetes": described.version,
        "sealed": str(seal.predicate.get("ended", ""))[:19],
        "by": described.tool,
    }


def _conclusion(seal: Seal, problems: Sequence[str]) -> str:
    if not problems:
        return f"signature valid, key {seal.signer[:16]}"
    if not seal.signer:
        return "the signature is not valid, or its key is not trusted"
    return "the bundle was altered" if seal.problems else "the verdicts differ from the record"
