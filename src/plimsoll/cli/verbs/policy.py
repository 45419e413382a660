"""`plimsoll policy`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.exit_statuses import DONE, FAILED, NOT_KNOWN
from plimsoll.cli.options import (
    AskedRun,
    application_file,
    file_option,
    json_option,
    print_json,
    run_options,
)
from plimsoll.cli.policy_lines import print_finding

if TYPE_CHECKING:
    from plimsoll.application.loading import ApplicationFile
    from plimsoll.policy.facts import Facts
    from plimsoll.policy.findings import Judged


@click.group("policy")
def command() -> None:
    """Judge by the policies of the file, render them for clusters, and tell which evidence answers which clause."""


@command.command("check")
@click.argument("things", metavar="[THING]…", nargs=-1)
@run_options
@json_option
def check(asked: AskedRun, things: tuple[str, ...], as_json: bool) -> int:
    """Judge THINGS: versions (triage@2), files or directories of Kubernetes manifests, evidence bundles.

    Without THING the plan of the application is judged, as `run` does before it begins.

    Exit status: 0 everything passed, 1 something breaks a policy, 3 something is not known, or not known yet.
    """
    from plimsoll.engine.policies.judging import judge_all
    from plimsoll.policy.findings import VERDICTS, count

    file, facts = _asked(asked, things)
    about = ", ".join(things) or "the plan"
    found = sorted(
        judge_all(file.application.policies, facts, file.directory, about),
        key=lambda each: VERDICTS.index(each.verdict),
    )
    counts = count(found)
    if as_json:
        print_json({"counts": counts, "findings": found})
    else:
        for each in found:
            print_finding(each)
        click.echo(", ".join(f"{number} {verdict}" for verdict, number in counts.items()))
        if not found:
            click.echo("the policies of the file ask nothing about this, which is no pass")
    return _status(found)


@command.command("input")
@click.argument("things", metavar="[THING]…", nargs=-1)
@run_options
@json_option
def document(asked: AskedRun, things: tuple[str, ...], as_json: bool) -> None:
    """Print what rules in Rego are given as `input`: for the plan, or for THINGS as `check` reads them."""
    import msgspec

    from plimsoll.engine.policies.judging import document_of

    _, facts = _asked(asked, things)
    content = document_of(facts)
    text = content if as_json else msgspec.json.format(content, indent=2)
    sys.stdout.write(text.decode() + "\n")


@command.command("render")
@file_option
@click.option(
    "--namespace", "namespaces", multiple=True, required=True, help="Namespace that they hold in; repeatable."
)
@click.option(
    "--form",
    type=click.Choice(["admission-policy", "gatekeeper"]),
    default="admission-policy",
    show_default=True,
    help="ValidatingAdmissionPolicy of Kubernetes, or templates and constraints of Gatekeeper.",
)
@json_option
def render(file: Path, namespaces: tuple[str, ...], form: str, as_json: bool) -> None:
    """Print the policies about pods and images as objects that a cluster refuses others by; kubectl applies them."""
    import yaml

    from plimsoll.engine.policies.checking import loaded
    from plimsoll.policy.admission.rendering import rendered

    application = loaded(application_file(file))
    objects = rendered(application, form, namespaces)
    if as_json:
        print_json({"objects": objects})
        return
    click.echo(yaml.safe_dump_all(objects, sort_keys=False, width=120), nl=False)


@command.command("webhook")
@click.option(
    "--namespace", default="plimsoll-admission", show_default=True, help="Namespace that the webhook runs in."
)
@click.option("--guard", "guarded", multiple=True, required=True, help="Namespace that it holds in; repeatable.")
@click.option("--image", required=True, metavar="REFERENCE", help="Image with Plimsoll's runtime, by digest.")
@click.option("--registry", "registries", multiple=True, required=True, help="Where images may come from; repeatable.")
@click.option("--reached", multiple=True, metavar="NODES=HERE", help="What pods call a registry that nodes name so.")
@click.option("--since", default="", metavar="DATE", help="Signatures from before do not count: no rolling back.")
@click.option("--registry-secret", "secret", default="", help="Secret there with the registry's credentials.")
@click.option(
    "--registry-ca",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=None,
    help="Authorities of the registry, in PEM.",
)
@click.option("--plain-http", multiple=True, metavar="HOST", help="Registry without TLS; repeatable.")
@click.option(
    "--days", type=click.IntRange(1, 825), default=90, show_default=True, help="For which its certificate is valid."
)
@json_option
def webhook(
    namespace: str,
    guarded: tuple[str, ...],
    image: str,
    registries: tuple[str, ...],
    reached: tuple[str, ...],
    since: str,
    secret: str,
    registry_ca: Path | None,
    plain_http: tuple[str, ...],
    days: int,
    as_json: bool,
) -> None:
    """Print a webhook by which a cluster refuses images and models that no key of yours, or that you trust, has signed.

    Rendered and applied again, it has a new certificate and the keys that you trust by then.
    """
    import yaml

    from plimsoll.cli.policy_webhook import rendered_webhook

    objects = rendered_webhook(
        namespace,
        guarded,
        image,
        registries,
        reached=reached,
        since=since,
        secret=secret,
        registry_ca=registry_ca,
        plain_http=plain_http,
        days=days,
    )
    if as_json:
        print_json({"objects": objects})
        return
    click.echo(yaml.safe_dump_all(objects, sort_keys=False, width=120), nl=False)


@command.command("map")
@click.argument("framework", required=False, metavar="[FRAMEWORK]")
@json_option
def clauses(framework: str | None, as_json: bool) -> None:
    """Print which evidence of Plimsoll answers which clause of FRAMEWORK, and which clauses nothing here answers.

    FRAMEWORK is nist-ai-rmf, iso-42001, eu-ai-act or gdpr; without it, all are printed. It is no legal advice.
    """
    from plimsoll.policy.clauses import framework_named, listed

    found = listed() if framework is None else (framework_named(framework),)
    if as_json:
        print_json({"frameworks": found})
        return
    for each in found:
        click.echo(f"{each.name}: {each.title}")
        for clause in each.clauses:
            click.echo(f"  {clause.number:<14} {clause.about}")
            if not clause.evidence:
                click.echo(f"                 not covered{': ' + clause.gap if clause.gap else ''}")
            for evidence in clause.evidence:
                click.echo(f"                 {evidence.what}  ({evidence.shown})")
            if clause.evidence and clause.gap:
                click.echo(f"                 not covered: {clause.gap}")


def _asked(asked: AskedRun, things: Sequence[str]) -> tuple[ApplicationFile, Facts]:
    """The file with its policies, and the facts of the plan or of what is named."""
    from plimsoll.engine.policies.checking import facts_of_plan, facts_of_things, loaded

    file = loaded(asked.path)
    if things:
        return file, facts_of_things(file, things)
    prepared = asked.prepared((), ())
    return prepared.file, facts_of_plan(prepared)


def _status(found: Sequence[Judged]) -> int:
    verdicts = {each.verdict for each in found}
    if "broken" in verdicts:
        return FAILED
    known = bool(verdicts) and not verdicts & {"unknown", "later"}
    return DONE if known else NOT_KNOWN
