"""Names for invented people, places, works and organisations, made of syllables and a list of plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

_ONSETS = (
    "b",
    "br",
    "d",
    "dr",
    "f",
    "g",
    "gl",
    "h",
    "j",
    "k",
    "kr",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "w",
)
_VOWELS = ("a", "e", "i", "o", "u", "ae", "ei", "ou")
_CODAS = ("l", "n", "r", "s", "m", "nd", "lt", "rn", "sk", "rv")
_SURNAME_ENDS = (
    "ard",
    "berin",
    "daal",
    "ekker",
    "enz",
    "holt",
    "ingar",
    "isk",
    "ovar",
    "quist",
    "rowe",
    "sen",
    "tano",
    "ulme",
    "wick",
)
_INITIALS = "ABCDEFGHIJKLMNOPRSTUVWYZ"
_MALE_ENDS = ("ald", "an", "bert", "ek", "en", "ik", "mund", "or", "rin", "us")
_FEMALE_ENDS = ("a", "anne", "elle", "eth", "ia", "ild", "ine", "is", "ora", "wen")
_TOWN_ENDS = (
    "bridge",
    "brook",
    "burg",
    "bury",
    "dale",
    "field",
    "ford",
    "gate",
    "ham",
    "haven",
    "holm",
    "mouth",
    "stead",
    "ton",
    "wick",
)
_REGION_FORMS = ("North {}", "South {}", "Upper {}", "Lower {}", "{} Valley", "{} Hills", "{} Coast", "Old {}")
_COUNTRY_ENDS = ("onia", "avia", "mark", "land", "stan", "adia")
_ADJECTIVES = """
amber ancient autumn bitter blue borrowed brazen broken burning careless copper crimson crooked distant
drowned early eastern empty endless fallen false fearless final foreign forgotten frozen gentle gilded
golden green hidden hollow honest idle inner iron ivory last lonely long lost midnight modern narrow
nameless northern open painted pale patient perfect quiet restless rising royal salted scarlet second secret
silent silver sleeping slow stolen stubborn sunken tender thirteenth twisted unfinished unseen upper velvet
violet wandering western white wild winter wooden young
"""
_NOUNS = """
acrobat almanac anchor apprentice arcade archive attic avenue ballroom banquet barrel beacon bell bridge
candle canal caravan carnival carousel castle cellar chapel chimney circus clock coast compass corridor
courtyard cradle crossing crown curtain daughter dawn desert door drum echo ember emperor envelope estuary
falcon farewell feast ferry fiddler field flame flood forest fountain garden gardener gate ghost glacier
guest harbour harvest heron hill horizon hour island jury kingdom ladder lagoon lantern lecture letter
library lighthouse lodger machine magpie map market meadow melody mirror monsoon mountain museum neighbour
nightfall notebook oath orchard orphan parade parlour passage pavilion pearl pendulum pilgrim portrait
promise quarry quarrel rain raven refuge rehearsal river road rumour sailor season shadow shepherd shore
signal sister sky snow soldier sonata sparrow stair station storm stranger summer tailor tenant theatre
threshold tide tower traveller treaty tunnel umbrella valley verdict village violin visitor voyage waltz
watchman waterfall wedding widow window witness workshop
"""
_ORGANISATION_ENDS = {
    "studio": ("Pictures", "Film Works", "Studios", "Moving Pictures"),
    "publisher": ("Press", "Books", "Publishing House", "Editions"),
    "label": ("Records", "Recordings", "Sound Company", "Music"),
    "school": ("Academy", "College", "Institute", "Conservatory"),
}


_CROWDED = 32
"""Names in a row that are all taken."""


class NameMaker:
    """Makes names from ``rng``; no stem of a place, a surname or an organisation is made twice.

    Pools grow with the encyclopedia, so that any size has families, namesakes and titles that share words.

    Args:
        rng: decides everything.
        people: how many people there will be.
        works: how many works there will be.
    """

    def __init__(self, rng: Random, people: int, works: int) -> None:
        self._rng = rng
        self._stems: set[str] = set()
        self._male = self._given(_MALE_ENDS)
        self._female = self._given(_FEMALE_ENDS)
        self._surnames = [self.stem() + self._pick(_SURNAME_ENDS) for _ in range(8 + people // 8)]
        self._adjectives = self._some(_ADJECTIVES.split(), 12 + works // 8)
        self._nouns = self._some(_NOUNS.split(), 16 + works // 6)

    def surname(self) -> str:
        """Return the name of one of the families."""
        return self._pick(self._surnames)

    def given(self, female: bool) -> str:
        """Return a given name."""
        return self._pick(self._female if female else self._male)

    def initial(self) -> str:
        """Return the initial of a middle name."""
        return f"{self._pick(_INITIALS)}."

    def town(self) -> str:
        """Return the name of a town, one word."""
        return self.stem() + self._pick(_TOWN_ENDS)

    def region(self) -> str:
        """Return the name of a region, two words."""
        return self._pick(_REGION_FORMS).format(self.stem() + "ia")

    def country(self) -> str:
        """Return the name of a country, one word."""
        return self.stem() + self._pick(_COUNTRY_ENDS)

    def organisation(self, kind: str) -> str:
        """Return the name of a studio, publisher, label or school."""
        return f"{self.stem()} {self._pick(_ORGANISATION_ENDS[kind])}"

    def work(self) -> str:
        """Return the title of a film, a novel or a song; may come again."""
        rng, first, second = self._rng, self._pick(self._nouns), self._pick(self._nouns)
        quality, form = self._pick(self._adjectives), rng.random()
        if form < 0.35:
            return f"The {quality} {first}"
        if form < 0.55:
            return f"{quality} {first}"
        if form < 0.8 and first != second:
            return f"{first} of the {quality} {second}"
        return f"The {first} and the {second}" if first != second else f"The Other {first}"

    def stem(self) -> str:
        """Return a capitalised syllable that was not used before, or two when the one is taken, or three and so on."""
        stem, tried, front = self._closed_syllable(), 0, 1
        while stem in self._stems:
            tried += 1
            front += tried % _CROWDED == 0  # so few are free that looking on costs more than a longer name
            stem = "".join(self._pick(_ONSETS) + self._pick(_VOWELS) for _ in range(front)) + self._closed_syllable()
        self._stems.add(stem)
        return stem.capitalize()

    def _given(self, ends: Sequence[str]) -> list[str]:
        made = [self._closed_syllable().capitalize() + self._pick(ends) for _ in range(160)]
        return list(dict.fromkeys(made))

    def _closed_syllable(self) -> str:
        return self._pick(_ONSETS) + self._pick(_VOWELS) + self._pick(_CODAS)

    def _some(self, words: Sequence[str], count: int) -> list[str]:
        """Return ``count`` of the words, capitalised, or all when there are fewer."""
        return [word.capitalize() for word in self._rng.sample(words, min(count, len(words)))]

    def _pick(self, choices: Sequence[str]) -> str:
        return choices[int(self._rng.random() * len(choices))]


def distinct_titles(names: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """Return a title for every name; those that share one get their kind in a parenthesis, "(film)".

    No two titles are equal when no two entries agree in name and kind.
    """
    count = Counter(names)
    return [name if count[name] == 1 else f"{name} ({kind})" for name, kind in zip(names, kinds, strict=True)]
