"""`plimsoll erase`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import (
    application_file,
    application_state,
    file_option,
    json_option,
    print_json,
    target_option,
)
from plimsoll.cli.rows import print_rows
from plimsoll.cli.subject import subject_from, subject_option
from plimsoll.cli.terminal import one_line

if TYPE_CHECKING:
    from plimsoll.application.loading import ApplicationFile
    from plimsoll.engine.erasing.certificate import Done
    from plimsoll.engine.erasing.finding import Finding, Found
    from plimsoll.subjects.identity import Subject
    from plimsoll.targets.port import Target

WIDEST = 90
"""Characters of a cell of the table; `--json` has all."""


@click.command("erase")
@subject_option(required=False)
@file_option
@target_option
@click.option("--dry-run", is_flag=True, help="Print what would be done, and change nothing.")
@click.option("--sources", is_flag=True, help="Take the rows out of your own source files too.")
@click.option("--expired", is_flag=True, help="In place of a person: what is older than `retention` of its dataset.")
@click.option(
    "--everything",
    is_flag=True,
    help="In place of a person: all that is kept, by destroying the key under which it is encrypted.",
)
@click.option(
    "--verify",
    "certificate",
    type=click.Path(path_type=Path),
    default=None,
    metavar="CERTIFICATE",
    help="Check the signature of a certificate, and search again. Without --subject, columns of ids are searched.",
)
@json_option
def command(
    asked: str | None,
    file: Path,
    target: str,
    namespace: str | None,
    dry_run: bool,
    sources: bool,
    expired: bool,
    everything: bool,
    certificate: Path | None,
    as_json: bool,
) -> int:
    """Find the rows of a person in sources, results, checkpoints, indexes, logs and models, and remove them.

    The datasets say by `subject: COLUMN` whose their rows are. What is removed is computed again by the next run,
    without the person. The exit status is 1 when something stays, or could not be searched.
    """
    from plimsoll.engine.preparation import target_for
    from plimsoll.kinds.table import KINDS
    from plimsoll.targets.options import TargetOptions

    named = application_file(file)
    subject = None if asked is None else subject_from(asked)
    if everything:
        if subject is not None or certificate is not None or expired or sources:
            raise click.UsageError("--everything is in place of --subject, --expired, --sources and --verify.")
        return _destroy(named, dry_run, as_json)
    if expired and (subject is not None or certificate is not None):
        raise click.UsageError("--expired is in place of --subject and --verify.")
    if subject is None and certificate is None and not expired:
        raise click.UsageError("Missing option '--subject': name the person, or a certificate with --verify.")
    if certificate is not None and (status := _verified_destruction(named, certificate, as_json)) is not None:
        return status
    application = KINDS.load(named)
    KINDS.check(application, None if len(KINDS.targets(application)) > 1 else target)
    if not dry_run and certificate is None:
        application_state(file, target, make=True)
    chosen = target_for(application, target, TargetOptions(namespace=namespace))
    click.get_current_context().call_on_close(chosen.close)
    if expired:
        return _expire(application, chosen, dry_run, sources, as_json)
    if certificate is not None:
        return _verify(application, chosen, certificate, subject, as_json)
    assert subject is not None  # noqa: S101 - asked above
    if dry_run:
        return _dry_run(application, chosen, subject, sources, as_json)
    return _erase(application, chosen, subject, sources, as_json)


def _dry_run(file: ApplicationFile, target: Target, subject: Subject, sources: bool, as_json: bool) -> int:
    from plimsoll.engine.erasing.erasing import Erasing

    found = Erasing(file, target, subject, sources=sources).find()
    if as_json:
        print_json({"erased": False, **_as_json(found)})
    else:
        _print_found(found)
        click.echo("nothing was changed" if found.findings else "nothing of the person was found")
    return 0 if found.complete else 1


def _erase(file: ApplicationFile, target: Target, subject: Subject, sources: bool, as_json: bool) -> int:
    from plimsoll.engine.erasing.erasing import Erasing

    def tell(done: Done) -> None:
        click.echo(one_line(f"{done.how}: {done.place} {done.name}, {done.what}"), err=as_json)

    erased = Erasing(file, target, subject, sources=sources).carry_out(tell)
    certificate = erased.certificate
    if as_json:
        print_json({"erased": True, "certificate": str(erased.path), **_without_none(certificate)})
        return 0 if certificate.complete else 1
    if not certificate.done and not certificate.stays:
        click.echo("nothing of the person was found")
    for model in certificate.models:
        click.echo(one_line(_model_line(model.version, model.certain, model.used_by)))
    for each in certificate.stays:
        click.echo(one_line(f"stays: {each.place} {each.name}, {each.what}: {each.why}"))
    for problem in certificate.unsearched:
        click.echo(one_line(f"not searched: {problem}"))
    for note in erased.found.notes:
        click.echo(one_line(f"note: {note}"))
    click.echo(f"certificate: {target.state.shown(erased.path)}")
    return 0 if certificate.complete else 1


def _expire(file: ApplicationFile, target: Target, dry_run: bool, sources: bool, as_json: bool) -> int:
    from plimsoll.engine.erasing.expiring import Expiring

    expiring = Expiring(file, target, sources=sources)
    removed: list[Finding] = []
    found = expiring.find() if dry_run else expiring.carry_out(removed.append)
    if as_json:
        done = [{"place": each.place, "name": each.name, "what": each.what, "how": each.how} for each in removed]
        print_json({"erased": not dry_run, "done": done, **_as_json(found)})
        return 0 if found.complete else 1
    for each in removed:
        click.echo(one_line(f"{each.how}: {each.place} {each.name}, {each.what}"))
    _print_found(found)
    if dry_run:
        click.echo("nothing was changed" if found.findings else "nothing has expired")
    elif not removed and not found.findings:
        click.echo("nothing has expired")
    return 0 if found.complete else 1


def _verify(file: ApplicationFile, target: Target, path: Path, subject: Subject | None, as_json: bool) -> int:
    from plimsoll.engine.erasing.verifying import verify

    verified = verify(file, target, path, subject)
    found, certificate = verified.found, verified.certificate
    if as_json:
        print_json(
            {"erasure": certificate.erasure, "signed": True, "complete": certificate.complete, **_as_json(found)}
        )
        return 0 if found.complete and not found.findings else 1
    click.echo(f"erasure {certificate.erasure} of {certificate.ended:%Y-%m-%d %H:%M} UTC: the signature is right")
    _print_found(found)
    if not found.findings:
        where = "columns of ids" if subject is None else "all that is searched"
        click.echo(f"searched again: nothing of the person was found in {where}")
    return 0 if found.complete and not found.findings else 1


def _destroy(file: Path, dry_run: bool, as_json: bool) -> int:
    from plimsoll.engine.erasing.shredding import destroy_everything, to_destroy
    from plimsoll.signing.keys import KeyRing

    if dry_run:
        found = to_destroy(file)
        if as_json:
            print_json({"erased": False, **_without_none(found)})
        else:
            click.echo(f"the data key of {found.files} sealed files would be destroyed, and the files deleted")
            click.echo("nothing was changed")
        return 0
    done, path = destroy_everything(file, KeyRing.default())
    if as_json:
        print_json({"erased": True, "certificate": str(path), **_without_none(done)})
    else:
        click.echo(f"destroyed: the data key of {done.files} sealed files, which nobody can open any more")
        click.echo("stays: your own sources, and what clusters, devices and backups have")
        click.echo(f"certificate: {path}")
    return 0


def _verified_destruction(file: Path, path: Path, as_json: bool) -> int | None:
    from plimsoll.engine.erasing.shredding import is_of_destruction, verify_destruction
    from plimsoll.signing.keys import KeyRing

    if not is_of_destruction(path):
        return None
    done = verify_destruction(file, path, KeyRing.default())
    if as_json:
        print_json({"signed": True, **_without_none(done)})
    else:
        click.echo(f"destruction of {done.vault} of {done.began:%Y-%m-%d %H:%M} UTC: the signature is right")
        click.echo("what it names is not here")
    return 0


def _print_found(found: Found) -> None:
    rows = [
        (each.place, _cell(each.name), each.what, each.how if each.how != "kept" else "stays", _cell(each.why))
        for each in found.findings
    ]
    if rows:
        print_rows([("place", "what", "how many", "how", "why"), *rows])
    for model in found.models:
        click.echo(one_line(_model_line(model.version, model.certain, model.used_by)))
    for problem in found.unsearched:
        click.echo(one_line(f"not searched: {problem}"))
    for note in found.notes:
        click.echo(one_line(f"note: {note}"))


def _model_line(version: str, certain: bool, used_by: str) -> str:
    if certain:
        line = f"model {version} was trained on rows of the person: the next run trains it anew"
    else:
        line = f"model {version} was trained on data that is not there any more: perhaps with the person"
    return line + (f"; {used_by} answers with it until then" if used_by else "")


def _cell(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= WIDEST else f"{line[: WIDEST - 1]}…"


def _as_json(found: Found) -> dict[str, object]:
    return {
        "complete": found.complete,
        "findings": [
            {"place": each.place, "name": each.name, "what": each.what, "how": each.how, "why": each.why}
            for each in found.findings
        ],
        "models": [
            {"version": each.version, "certain": each.certain, "used_by": each.used_by} for each in found.models
        ],
        "unsearched": found.unsearched,
        "notes": found.notes,
    }


def _without_none(value: object) -> dict[str, object]:
    import msgspec

    return dict(msgspec.to_builtins(value))
