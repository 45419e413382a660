"""`plimsoll verify`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from plimsoll.cli.options import json_option, print_json, width
from plimsoll.errors import PlimsollError


@click.command("verify")
@click.argument("bundle", type=click.Path(path_type=Path, file_okay=False))
@json_option
def command(bundle: Path, as_json: bool) -> int:
    """Judge an evidence bundle again, without the cluster, and name every file that is not as it was signed.

    Ends with 0 when nothing was altered and every verdict comes out as it was written, else with 1.
    """
    from plimsoll.capabilities import checking
    from plimsoll.evidence.bundle import check_seal
    from plimsoll.report.load_line import load_line
    from plimsoll.signing.keys import KeyRing

    seal = check_seal(bundle, KeyRing.default())
    problems = list(seal.problems)
    try:
        written = msgspec.json.decode((bundle / checking.VERDICTS).read_bytes(), type=list[checking.Judged])
        described = checking.read_description(bundle)
        judged = checking.verdicts(bundle, described.profile, described.only)
    except (OSError, msgspec.DecodeError, KeyError) as error:
        problem = f"the bundle cannot be judged: {error}"
        if not problems:
            raise PlimsollError(problem, where=str(bundle)) from error
        judged, written = [], []
        problems.append(problem)
    differing = [one.requirement for one, other in zip(judged, written, strict=False) if one != other]
    if len(judged) != len(written):
        differing.append("the list of requirements")
    problems += [f"{checking.VERDICTS}: {name} comes out otherwise from the record" for name in differing]
    if as_json:
        print_json({"problems": problems, "signer": seal.signer, "judged": judged})
    else:
        if judged:
            click.echo(load_line(judged, width()))
        for problem in problems:
            click.echo(f"✗ {problem}")
        click.echo("not as it was signed" if problems else f"as it was signed, by the key {seal.signer[:16]}")
    return 1 if problems else 0
