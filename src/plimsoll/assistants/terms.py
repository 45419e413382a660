"""What a sentence states: stems of its words, its numbers, its names, and what it denies. Pure."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator

from msgspec import Struct

from plimsoll.assistants.languages import COMMON_WORDS, language_of, stem, word_set
from plimsoll.indexes.words import words

DEFAULT = "english"
"""The language of a text whose words do not tell theirs."""
_COUNTED = "two three four five six seven eight nine ten eleven twelve"
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_COUNTED.split(), start=2)} | {
    "hundred": "100",
    "thousand": "1000",
    "million": "1000000",
    "twice": "2",
}
_NUMBER = re.compile(r"(?:(?<![\w.)\]])[-−])?(?<![\w.])\d+(?:[.,]\d+)*(?!\w)")
_LIST_MARK = re.compile(r"^\s*(?:[-*•]|\(?\d{1,3}[.)])\s+")
_CITATION = re.compile(r"\[\d{1,3}\]")
_NAME = re.compile(r"""(?x)
    https?://[^\s<>"'`)\]]+ | [\w.+-]+@[\w-]+(?:\.[\w-]+)+      # addresses
  | (?<![\w/])/(?:[\w.+-]+/)*[\w.+-]+                          # paths
  | [$@%&]\#?\w+ | [$@%&][^\w\s]                               # variables
  | \w+(?:(?:::|->)\w+)+ | \w+\.(?=[a-z])\w{1,4}\b(?!\.)       # parts of modules, names of files
  | (?<![\w-])--?[A-Za-z][\w-]*                                # options
  | \w+(?=\(\)) | \w*[^\W_]_\w+ | \w*_[^\W_]\w*                # functions, words with underscores
  | \b[^\W\d_]*[a-z][A-Z]\w* | \b[A-Z][A-Z0-9]+s?\b            # CamelCase, ACRONYMS
  | \b(?=\w*\d)(?=\w*[^\W\d_])\w+\b                            # letters with digits
""")  # fmt: skip
_CAPITALISED = re.compile(r"(?<![\w'’$@%&-])[^\W\d_][\w'’-]*")
_QUOTED = re.compile(r"`+([^`]+)`+")
_CLAUSE_END = re.compile(
    r",(?!\d)|[;:!?()\n]|\.(?!\d)|\b(?:but|however|although|whereas|instead|aber|sondern|mais|pero|ma|mas|maar)\b"
)
_DENIALS = word_set(
    "not no never cannot cant dont doesnt didnt isnt arent wasnt werent wont wouldnt shouldnt couldnt hasnt havent "
    "neither nor none nothing nobody without avoid unable "
    "nicht kein keine keinen keinem keiner nie niemals ohne weder pas jamais sans aucun aucune nunca sin ningún "
    "non mai senza nenhum nunca sem não niet geen nooit zonder"
)
_NO_DENIALS = re.compile(
    r"\bnot (?:only|just|necessarily|to mention)\b|\bno (?:matter|longer than)\b|\bwhy not\b", re.I
)
_SHORT_NOT = re.compile(r"n['’]t\b", re.IGNORECASE)
_OPPOSITES = [
    ("before", "after"), ("more", "less"), ("more", "fewer"), ("all", "some"), ("always", "sometimes"),
    ("always", "never"), ("first", "last"), ("left", "right"), ("true", "false"), ("on", "off"), ("above", "below"),
    ("increase", "decrease"), ("enable", "disable"), ("fast", "slow"), ("faster", "slower"), ("begin", "end"),
    ("only", "every"), ("only", "all"), ("first", "every"),
    ("start", "end"), ("start", "stop"), ("open", "close"), ("largest", "smallest"), ("larger", "smaller"),
    ("global", "lexical"), ("minimum", "maximum"), ("least", "most"), ("input", "output"), ("read", "write"),
    ("safe", "unsafe"), ("ascending", "descending"), ("upper", "lower"), ("uppercase", "lowercase"), ("add", "remove"),
    ("greedy", "lazy"), ("success", "failure"), ("succeed", "fail"), ("same", "different"), ("easy", "hard"),
    ("high", "low"), ("higher", "lower"), ("long", "short"), ("longer", "shorter"), ("old", "new"),
    ("required", "optional"), ("leading", "trailing"), ("private", "public"), ("vor", "nach"), ("immer", "nie"),
    ("mehr", "weniger"),
]  # fmt: skip
_OPPOSITE: dict[str, frozenset[str]] = {
    word: frozenset(b if a == word else a for a, b in _OPPOSITES if word in (a, b))
    for pair in _OPPOSITES
    for word in pair
}
_KEPT = frozenset(_OPPOSITE) | _DENIALS


class Terms(Struct, frozen=True, kw_only=True):
    """What a sentence states. `denied` has the stem that each denial is about, `opposites` words that have one.

    `listed` has the stems of the items of a list such as "a, b and c". `company` has the numbers with the stems
    beside them: in "1 on success and 0 on failure", each number has company of its own.
    """

    stems: frozenset[str]
    numbers: frozenset[str]
    names: frozenset[str]
    denied: frozenset[str]
    opposites: frozenset[str]
    listed: frozenset[str]
    used: frozenset[str]
    company: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]

    @property
    def states_nothing(self) -> bool:
        """Whether there is nothing to be supported."""
        return not (self.stems or self.numbers or self.names)


@functools.lru_cache(maxsize=4096)
def terms_of(text: str, language: str | None = None) -> Terms:
    """What a sentence of a language states; without one, its own words tell the language."""
    text = _CITATION.sub(" ", _LIST_MARK.sub("", unicodedata.normalize("NFKC", text)))
    language = language or language_of(text) or DEFAULT
    names = names_in(text, language)
    return Terms(
        stems=frozenset(stems_in(text, language)),
        numbers=numbers_in(text),
        names=names,
        denied=_denied(text, language),
        opposites=frozenset(word for word in words(text) if word in _OPPOSITE),
        listed=frozenset(item for match in _LIST.finditer(text) for item in stems_in(match[0], language)),
        used=frozenset(match[1].casefold() for match in _USED.finditer(text)),
        company=tuple(_company(text, language)),
    )


def stems_in(text: str, language: str) -> list[str]:
    """The stems of the words that mean something, in their order."""
    common = COMMON_WORDS.get(language, frozenset())
    return [
        stem(word, language)
        for word in words(_SHORT_NOT.sub(" not", text))
        if word not in common and word not in _KEPT_APART and len(word) > 1 and not word.isdigit()
    ]


_LIST = re.compile(r"\w+(?:, \w+)+,? (?:and|or|und|oder|et|ou|y|o|e|en|of) \w+")


_USED = re.compile(
    r"\b(?:with|use|using|call|calling|function|module|method|command|option)\s+(?!it\b|this\b|that\b|them\b|these\b|and\b|or\b)"
    r"`?(\w+)`?(?:\(\))?(?=[.,;:]|\s+(?:to|for|in|on|of|with|when|unless|if|from|as|instead)\b|$)",
    re.IGNORECASE,
)


def _company(text: str, language: str) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Each number with the stems before it, the last one first, and with those after it."""
    for match in _NUMBER.finditer(text):
        before, after = stems_in(text[: match.start()], language), stems_in(text[match.end() :], language)
        yield _number(match[0]), tuple(reversed(before)), tuple(after)


_KEPT_APART = _DENIALS | {"on", "off", "more", "most", "all", "some", *_NUMBER_WORDS}
"""Words that other fields of `Terms` have."""


def numbers_in(text: str) -> frozenset[str]:
    """Numbers as they are compared: `1,000`, `1000` and `1000.0` are one, and so are `2` and `two`."""
    text = _without_names_with_digits(unicodedata.normalize("NFKC", text))
    found = {_number(match[0]) for match in _NUMBER.finditer(text)}
    return frozenset(found | {_NUMBER_WORDS[word] for word in words(text) if word in _NUMBER_WORDS})


def _without_names_with_digits(text: str) -> str:
    return re.sub(r"https?://\S+|\[\d{1,3}\]", " ", text)


def _number(text: str) -> str:
    sign = "-" if text[0] in "-−" else ""
    digits = text.lstrip("-−")
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", digits):
        digits = digits.replace(",", "")
    elif re.fullmatch(r"\d+,\d+", digits):
        digits = digits.replace(",", ".")
    if re.fullmatch(r"\d+\.\d+", digits):
        digits = digits.rstrip("0").rstrip(".")
    return sign + (digits.lstrip("0") or "0" if re.fullmatch(r"\d+", digits) else digits)


def names_in(text: str, language: str = DEFAULT) -> frozenset[str]:
    """Names of things: words in capitals, identifiers, files, addresses, and what is quoted as code."""
    found = {match[0] for match in _NAME.finditer(text)}
    for quoted in _QUOTED.finditer(text):
        found.update(word for word in re.findall(r"[\w:]*\w", quoted[1]) if not word.isdigit())
    plain = _QUOTED.sub(lambda match: " " * len(match[0]), text)
    begins = re.compile(r"(?:^|[.!?:\n]\s*|[-*•]\s+)[\"'“(*_]*$")
    for match in _CAPITALISED.finditer(plain):
        word = match[0]
        if not word[0].isupper() or language == "german" or begins.search(plain[: match.start()][-12:]):
            continue
        found.add(word)
    return frozenset(filter(None, (_name(each) for each in found)))


def _name(text: str) -> str:
    if re.fullmatch(r"[$@%&]\W", text):
        return text
    name = re.sub(r"['’]s$", "", text).rstrip(".,;:!?'’-").casefold()
    plain = name if not re.fullmatch(r"[A-Z0-9]{2,}s", text) else name[:-1]
    return "" if plain in COMMON_WORDS[DEFAULT] or plain in {"i'm", "i'll", "i've"} or len(plain) < 2 else plain


_DEGREES = word_set("alway necessarili usual realli actual yet even automat immer unbedingt toujour siempr")
"""Stems that say how far something holds; what is denied comes after them."""
_DENIED_BEFORE = word_set("german dutch")
"""Languages in which a denial may end its clause, and is about what stands before it."""


def _denied(text: str, language: str) -> frozenset[str]:
    """The first stem after each denial, within its clause."""
    plain = _SHORT_NOT.sub(" not", _NO_DENIALS.sub(" ", text)).casefold()
    found = set()
    for clause in _CLAUSE_END.split(plain):
        pieces = words(clause)
        for place, word in enumerate(pieces):
            if word in _DENIALS:
                after = stems_in(" ".join(pieces[place + 1 :]), language)
                degree = bool(after) and after[0] in _DEGREES
                found.update(after[: 2 if degree else 1])
                if not after and language in _DENIED_BEFORE:
                    found.update(stems_in(" ".join(pieces[:place]), language)[-2:])
    return frozenset(found)


def is_denial(text: str) -> bool:
    """Whether a text says no, and nothing else: `You cannot.`"""
    said = words(_SHORT_NOT.sub(" not", text))
    return len(said) <= _SHORTEST_STATEMENT and bool(set(said) & (_DENIALS | {"nein", "non"}))


_SHORTEST_STATEMENT = 3


def denies(text: str) -> bool:
    """Whether a text denies anything."""
    return bool(set(words(_SHORT_NOT.sub(" not", text))) & _DENIALS)


def opposite_of(word: str) -> frozenset[str]:
    """The words that say the contrary of one."""
    return _OPPOSITE.get(word, frozenset())
