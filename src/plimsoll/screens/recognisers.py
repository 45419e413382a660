"""What personal data looks like: patterns with checksums, by kept libraries, and names of columns.

Addresses of e-mail and of the network are known by their form. Telephone numbers are valid by Google's metadata of all
countries (phonenumbers), and only with the code of the country. Cards and accounts have checksums (Luhn, ISO 7064), and
so have the numbers by which states know people (python-stdnum). A tenth of all numbers passes such a checksum by
chance, so that a column counts only when most of what has the form passes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from types import MappingProxyType

from msgspec import Struct

from plimsoll.errors import MissingExtra

MOSTLY = 0.5
"""The share of what has the form of a number with a checksum that has to pass it."""
NEARLY_ALL = 0.95
LEAST_NUMBERS = 12
"""Different cells below which numbers of states are not told from others: they have no form of their own."""

EMAIL = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,24}\b"
)
CARD = re.compile(
    r"(?<![\w.-])[3-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{3,4}(?![\w.-])|(?<![\w.-])3[47]\d{2}[ -]?\d{6}[ -]?\d{5}(?![\w-])"
)
IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
NETWORK = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
VERSION = re.compile(r"version|release|build", re.IGNORECASE)
TELEPHONE = re.compile(r"\+\s?\(?\d")
SECURITY = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")

STATES: Mapping[str, str] = MappingProxyType(
    {
        "be.nn": "a national number of Belgium",
        "br.cpf": "a CPF of Brazil",
        "cn.ric": "a resident's number of China",
        "cz.rc": "a birth number of Czechia",
        "de.idnr": "a tax number of Germany",
        "dk.cpr": "a CPR number of Denmark",
        "es.dni": "a DNI of Spain",
        "es.nie": "a NIE of Spain",
        "fi.hetu": "a personal code of Finland",
        "fr.nir": "a NIR of France",
        "gb.nhs": "an NHS number",
        "in_.aadhaar": "an Aadhaar number",
        "it.codicefiscale": "a fiscal code of Italy",
        "nl.bsn": "a BSN of the Netherlands",
        "no.fodselsnummer": "a birth number of Norway",
        "pl.pesel": "a PESEL of Poland",
        "pt.cc": "a citizen's card of Portugal",
        "ro.cnp": "a CNP of Romania",
        "se.personnummer": "a personal number of Sweden",
    }
)
"""Modules of python-stdnum, and what their numbers are."""

NAMED = frozenset(
    {
        "email",
        "e_mail",
        "mail_address",
        "phone",
        "phone_number",
        "telephone",
        "mobile",
        "cell_phone",
        "ssn",
        "social_security_number",
        "iban",
        "passport",
        "passport_number",
        "surname",
        "last_name",
        "lastname",
        "first_name",
        "firstname",
        "full_name",
        "fullname",
        "given_name",
        "family_name",
        "maiden_name",
        "birthdate",
        "birth_date",
        "birthday",
        "date_of_birth",
        "dob",
        "home_address",
        "postal_address",
        "street_address",
        "street",
        "ip_address",
        "credit_card",
        "card_number",
        "licence_plate",
        "license_plate",
    }
)
"""Names of columns that say that each row is of a person."""


class Seen(Struct, frozen=True):
    """What a recogniser saw in one cell: how many things of its form, and how many of these are what they look like."""

    formed: int
    true: int


class Recogniser(Struct, frozen=True):
    """One kind of personal data in texts. `share` of what has the form has to be true for a column to count."""

    what: str
    see: Callable[[str], Seen]
    share: float = 0.0


def recognisers() -> tuple[Recogniser, ...]:
    """Those that look into texts. Raises MissingExtra."""
    phonenumbers, luhn, iban, ssn = _library("phonenumbers"), _stdnum("luhn"), _stdnum("iban"), _stdnum("us.ssn")

    def telephones(text: str) -> Seen:
        if not TELEPHONE.search(text):
            return Seen(0, 0)
        return Seen(1, sum(1 for _ in phonenumbers.PhoneNumberMatcher(text, None)))  # type: ignore[attr-defined, misc]  # no types

    return (
        Recogniser("an address of e-mail", lambda text: _all(EMAIL.findall(text)) if "@" in text else Seen(0, 0)),
        Recogniser("a telephone number", telephones, MOSTLY / 10),
        Recogniser("a number of a payment card", lambda text: _valid(CARD.findall(text), luhn), MOSTLY),
        Recogniser("an IBAN", lambda text: _valid(IBAN.findall(text), iban), MOSTLY),
        Recogniser("a public address of the network", _addresses, MOSTLY),
        Recogniser("a number of social security", lambda text: _valid(SECURITY.findall(text), ssn), MOSTLY),
    )


def of_state(cells: Iterable[str]) -> str:
    """What nearly all different cells are by their checksums; empty for none. Raises MissingExtra."""
    different = {cell.strip() for cell in cells}
    if len(different) < LEAST_NUMBERS or not all(any(map(str.isdigit, cell)) for cell in different):
        return ""
    for name, what in STATES.items():
        module = _stdnum(name)
        left = int((1 - NEARLY_ALL) * len(different))
        for cell in different:
            left -= not _is_valid(module, cell)
            if left < 0:
                break
        else:
            return what
    return ""


def named_as_personal(column: str) -> bool:
    """Whether a column's name says that it has personal data."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column)
    return re.sub(r"[^a-z0-9]+", "_", snake.lower()).strip("_") in NAMED


def _all(found: list[str]) -> Seen:
    return Seen(len(found), len(found))


def _valid(found: list[str], module: object) -> Seen:
    return Seen(len(found), sum(_is_valid(module, each) for each in found))


def _is_valid(module: object, text: str) -> bool:
    plain = text.replace(" ", "").replace("-", "") if module is _stdnum("luhn") else text
    # Of one digit throughout, many checksums hold.
    return len(set(plain)) > 1 and bool(module.is_valid(plain))  # type: ignore[attr-defined]  # stdnum has no types


def _addresses(text: str) -> Seen:
    # Versions of software have the form too.
    found = [] if VERSION.search(text) else NETWORK.findall(text)
    return Seen(len(found), sum(map(_is_public, found)))


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _stdnum(name: str) -> object:
    return _library(f"stdnum.{name}")


def _library(name: str) -> object:
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtra("screens", "looking for personal data") from None


def seen_in(cells: Iterable[tuple[int, str]], recogniser: Recogniser) -> tuple[int, int, list[int]]:
    """Things of the form, true ones, and the positions of the cells that have them."""
    formed = true = 0
    places: list[int] = []
    for place, text in cells:
        seen = recogniser.see(text)
        formed, true = formed + seen.formed, true + seen.true
        if seen.true:
            places.append(place)
    return formed, true, places


def positions(cells: Iterable[str | None], most: int) -> Iterator[tuple[int, str]]:
    """The first cells that have something, with their positions."""
    left = most
    for place, cell in enumerate(cells):
        if cell is not None and left > 0:
            left -= 1
            yield place, cell
