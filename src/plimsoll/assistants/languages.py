"""The language of a text by its commonest words, what each language says without meaning, and its word stems."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

from plimsoll.errors import MissingExtra
from plimsoll.indexes.words import words


def word_set(text: str) -> frozenset[str]:
    """The words of a list that is written as one text."""
    return frozenset(text.split())


_COMMON = {
    "english": """a about an and any are as at be been being by can could did do does doing done for from had has have
        he her here his how i if in into is it its just may me might more most my of on or our she should so some such
        than that the their them then there these they this those to too up was we were what when where which who why
        will with would you your also am both each either else few had much must other own same shall us very whether
        while please tell ll re ve s""",
    "german": """aber als am an auch auf aus bei bin bis da das dass dem den der des die dies diese dieser du ein eine
        einem einen einer es für hat habe haben ich ihr im in ist ja kann können man mein mir mit nach noch nur oder
        sein sich sie sind so soll über um und uns vom von war was wenn wer werden wie wir wird wo zu zum zur""",
    "french": """au aux avec ce ces cette dans de des du elle en est et être il ils je la le les leur lui ma mais me mes
        mon nous on ou où par pas pour puis qu que quel quelle qui quoi sa se ses son sont sur ta te tu un une vous y
        comment pourquoi peut est-ce""",
    "spanish": """al como con cual cuál cuando cómo de del el ella en es esta este está han hay la las le lo los me mi
        muy más o para pero por puede que qué se ser si su sus también te tu un una uno y ya yo son dónde""",
    "italian": """al alla anche che chi ci come con cosa da dal de dei del della delle di dove e è gli ha ho i il in io
        la le lo ma mi nel nella o per perché più può quale quando questo se si sono su un una uno""",
    "portuguese": """ao aos as como com da das de do dos e ela ele em é eu foi isso mais mas na nas no nos o os ou para
        pela pelo por pode qual quando que quem se ser seu são também um uma você onde não""",
    "dutch": """aan als bij dan dat de die dit een en er het hij hoe hun ik in is je kan kunnen maar met mijn naar nog
        of om onder ook op over te tot uit van voor waar wat we wie wij worden wordt zal ze zijn zo""",
}
COMMON_WORDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {language: word_set(text) for language, text in _COMMON.items()}
)
ENGLISH_NAMES: Mapping[str, str] = MappingProxyType({language: language.capitalize() for language in _COMMON})


def language_of(text: str) -> str | None:
    """The language of a text, by its name in English and lower case; None where its words do not tell."""
    found = words(text)
    counts = {language: sum(word in common for word in found) for language, common in COMMON_WORDS.items()}
    best = max(counts, key=lambda language: counts[language])
    tied = sum(count == counts[best] for count in counts.values()) > 1
    return None if not counts[best] or tied else best


@functools.cache
def _stemmer(language: str) -> object:
    try:
        import snowballstemmer
    except ImportError:
        raise MissingExtra("retrieval", "an assistant") from None
    return snowballstemmer.stemmer(language)


@functools.lru_cache(maxsize=65536)
def stem(word: str, language: str) -> str:
    """The stem of a word: `removing` and `removed` have the same."""
    return str(_stemmer(language).stemWord(word))  # type: ignore[attr-defined]  # the library has no types
