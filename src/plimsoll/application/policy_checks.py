"""Checks of `spec.policies` before anything is planned: a policy that says nothing by mistake lets everything pass."""

from __future__ import annotations

import re

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.paths import files_ending, require_readable
from plimsoll.application.policies import AT, CHAIN, RULES, Images, Policies, SupplyChain, Vulnerabilities

_ACCEPTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_REGISTRY = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9._-]+)*")


def check_policies(file: ApplicationFile) -> None:
    """Raise FileError for a policy that asks for nothing, and for a database or rules that are not there."""
    policies = file.application.policies
    chain, at = policies.supply_chain, CHAIN
    if AT in file.places.keys and policies == Policies():
        raise file.error("the policies ask for nothing", "add `supply-chain`, `pods` or `rules`", *AT, at_key=True)
    if chain is not None:
        if chain == SupplyChain():
            raise file.error("the policy asks for nothing", "add `require`, or remove it", *at, at_key=True)
        if chain.vulnerabilities is not None:
            _check_vulnerabilities(file, chain.vulnerabilities)
        if chain.images is not None:
            _check_images(file, chain.images)
        for word in ("licences", "origins"):
            for number, text in enumerate(getattr(chain, word)):
                if not text.strip("* "):
                    hint = f"name what is allowed, or remove `{word}` to allow everything"
                    raise file.error(f"'{text}' allows everything, or nothing", hint, *at, word, number)
    if policies.rules is not None:
        _check_rules(file, policies.rules)


def _check_vulnerabilities(file: ApplicationFile, wanted: Vulnerabilities) -> None:
    at = (*CHAIN, "vulnerabilities")
    require_readable(file, "the database of advisories", wanted.database, *at, "database")
    for name in wanted.accepted:
        if not _ACCEPTED.fullmatch(name):
            hint = "write an advisory, such as CVE-2026-12345, or a package of your own, with your reason"
            raise file.error(
                f"'{name}' is neither the id of an advisory nor a package", hint, *at, "accepted", name, at_key=True
            )


def _check_images(file: ApplicationFile, images: Images) -> None:
    at = (*CHAIN, "images")
    if not images.pinned and not images.registries:
        raise file.error("the policy asks for nothing of images", "set `pinned: true`, or name `registries`", *at)
    for number, registry in enumerate(images.registries):
        if not _REGISTRY.fullmatch(registry):
            hint = "write HOST, HOST:PORT or HOST/PATH in lower case, without a scheme and without a slash at the end"
            raise file.error(f"'{registry}' is not a registry", hint, *at, "registries", number)


def _check_rules(file: ApplicationFile, named: str) -> None:
    at = (*AT, "rules")
    require_readable(file, "the rules", named, *at)
    path = file.directory / named
    if path.is_file() and path.suffix != RULES:
        raise file.error(f"{named} is no file of rules", f"rules are in files that end with {RULES}", *at)
    if path.is_dir() and not files_ending(path, (RULES,)):
        hint = f"write rules in Rego into files that end with {RULES}, or remove `rules`"
        raise file.error(f"{named} has no rules", hint, *at)
