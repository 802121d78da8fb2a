"""What can be asked about a passage without naming what it is about: a table of English cues and questions.

A cue is what a passage says when it knows the answer. ``{x}`` and ``{y}`` stand for what is asked about, ``{kind}`` and
``{kinds}`` for what two of them are ("film", "films"), ``{role}`` and ``{roles}`` for what leads on from each of them
("director"). People ask for much more: :mod:`.clauses` makes questions from any sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .portrait import Portrait


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that passages say and people ask.

    Attributes:
        name: of the fact.
        cue: found in a passage that says it.
        of: "person", "thing" or "any".
        asks: questions about one.
        compares: questions about two of a kind.
        leads: questions about what two of a kind lead to.
    """

    name: str
    cue: re.Pattern[str]
    of: str
    asks: tuple[str, ...]
    compares: tuple[str, ...] = ()
    leads: tuple[str, ...] = ()

    def is_said_by(self, portrait: Portrait) -> bool:
        """Return whether the passage knows the answer."""
        if self.of != "any" and (self.of == "person") != portrait.is_person:
            return False
        return self.cue.search(portrait.text) is not None


def _fact(
    name: str,
    of: str,
    cue: str,
    asks: tuple[str, ...],
    compares: tuple[str, ...] = (),
    leads: tuple[str, ...] = (),
) -> Fact:
    return Fact(name, re.compile(cue), of, asks, compares, leads)


_YEARS = r"\d{3,4}\s?[-–][^()]{0,40}\d{3,4}"
_FROM = r"\b[A-Z]\w+(?:an|ish|ese|ch|ek|ss|ic|sh|i)\b"

FACTS = (
    _fact(
        "birth",
        "person",
        rf"\bborn\b[^.]*\d{{3,4}}|{_YEARS}",
        ("When was {x} born?", "What is the date of birth of {x}?", "What is {x}'s date of birth?",
         "In what year was {x} born?", "What is the birthday of {x}?", "How old is {x}?"),
        ("Who was born first, {x} or {y}?", "Who was born earlier, {x} or {y}?", "Who was born later, {x} or {y}?",
         "Who is older, {x} or {y}?", "Who is younger, {x} or {y}?", "Who was born first out of {x} and {y}?"),
        ("Which {kind} has the {role} who was born first, {x} or {y}?",
         "Which {kind} has the {role} who was born later, {x} or {y}?",
         "Which {kind} whose {role} is younger, {x} or {y}?", "Which {kind} whose {role} was born earlier, {x} or {y}?",
         "Which {kind} has the {role} who is older than the other, {x} or {y}?"),
    ),
    _fact(
        "death",
        "person",
        rf"\bdied\b|{_YEARS}",
        ("When did {x} die?", "What is the date of death of {x}?", "In which year did {x} die?",
         "What is {x}'s date of death?"),
        ("Who died first, {x} or {y}?", "Who died earlier, {x} or {y}?", "Who died later, {x} or {y}?",
         "Who lived longer, {x} or {y}?"),
        ("Which {kind} has the {role} who died first, {x} or {y}?",
         "Which {kind} has the {role} who died later, {x} or {y}?",
         "Which {kind} whose {role} died earlier, {x} or {y}?"),
    ),
    _fact(
        "birthplace",
        "person",
        r"\bborn\b[^.]{0,40}\b(?:in|at|near) [A-Z]",
        ("Where was {x} born?", "What is the place of birth of {x}?", "What is {x}'s birthplace?",
         "In which city was {x} born?"),
        ("Were {x} and {y} born in the same place?",),
        ("Are the {roles} of {x} and {y} from the same place?",),
    ),
    _fact(
        "death place",
        "person",
        r"\bdied\b[^.]{0,40}\b(?:in|at|near) [A-Z]|\bburied\b",
        ("Where did {x} die?", "What is the place of death of {x}?", "Where was {x} buried?"),
    ),
    _fact(
        "cause of death",
        "person",
        r"\bdied of\b|\bcause of\b|\bkilled\b|\bmurdered\b|\bcancer\b|\bexecuted\b",
        ("Why did {x} die?", "What is the cause of death of {x}?", "How did {x} die?"),
    ),
    _fact(
        "nationality",
        "person",
        _FROM,
        ("What nationality is {x}?", "Which country is {x} from?", "What is the nationality of {x}?",
         "Which country {x} is from?", "What country does {x} come from?"),
        ("Are {x} and {y} of the same nationality?", "Are {x} and {y} from the same country?",
         "Did {x} and {y} share the same nationality?", "Do {x} and {y} have the same nationality?"),
        ("Do both {kinds} {x} and {y} have the {roles} from the same country?",
         "Are the {roles} of both {kinds} {x} and {y} from the same country?",
         "Are {role} of {kind} {x} and {role} of {kind} {y} both from the same country?",
         "Do the {roles} of {x} and {y} share the same nationality?",
         "Do {x} and {y} have {roles} of the same nationality?"),
    ),
    _fact(
        "parents",
        "person",
        r"\b(?:son|daughter|child) of\b|\b(?:his|her) (?:father|mother|parents)\b",
        ("Who is the father of {x}?", "Who is the mother of {x}?", "Who is {x}'s father?", "Who is {x}'s mother?",
         "Who are the parents of {x}?"),
    ),
    _fact(
        "spouse",
        "person",
        r"\bmarried\b|\b(?:wife|husband|spouse)\b",
        ("Who is the spouse of {x}?", "Who did {x} marry?", "Who is {x}'s wife?", "Who is {x}'s husband?",
         "Who is married to {x}?"),
    ),
    _fact(
        "children",
        "person",
        r"\b(?:father|mother) of\b|\bchildren\b|\b(?:his|her|their) (?:son|daughter)\b",
        ("Who is the child of {x}?", "Who is the son of {x}?", "Who is {x}'s daughter?"),
    ),
    _fact(
        "siblings",
        "person",
        r"\b(?:brother|sister|sibling|siblings)\b",
        ("Who is the sibling of {x}?", "Who is {x}'s brother?", "Who is the sister of {x}?"),
    ),
    _fact(
        "award",
        "any",
        r"\b(?:[Aa]wards?|[Pp]rize|[Mm]edal)\b",
        ("Which award did {x} win?", "What award did {x} receive?", "What is the award that {x} won?"),
    ),
    _fact(
        "education",
        "person",
        r"\b(?:educated|attended|studied|graduated|graduate|alumnus)\b",
        ("Where did {x} study?", "Which university did {x} attend?", "Where did {x} graduate from?",
         "Where was {x} educated at?"),
    ),
    _fact(
        "work",
        "person",
        r"\b(?:worked|works|taught|professor|served|career)\b",
        ("Where does {x} work?", "Which employer did {x} work for?", "What was the occupation of {x}?",
         "What position did {x} hold?", "What is {x} known for?"),
        ("Do {x} and {y} have the same occupation?", "What occupation do {x} and {y} share?"),
    ),
    _fact(
        "team",
        "person",
        r"\b(?:plays|played|player|club|team|league|League)\b",
        ("Which team does {x} play for?", "What club did {x} play for?"),
    ),
    _fact(
        "year",
        "thing",
        r"\b1[5-9]\d\d\b|\b20\d\d\b",
        ("When was {x} released?", "What year did {x} come out?", "What is the publication date of {x}?",
         "In which year did {x} appear?"),
        ("Which {kind} was released first, {x} or {y}?", "Which {kind} was released earlier, {x} or {y}?",
         "Which {kind} was released more recently, {x} or {y}?", "Which {kind} came out first, {x} or {y}?",
         "Which {kind} came out earlier, {x} or {y}?"),
    ),
    _fact(
        "founding",
        "thing",
        r"\b(?:founded|established|formed|opened|started|launched|built|created)\b",
        ("When was {x} founded?", "In what year was {x} established?", "Who founded {x}?", "When was {x} formed?"),
        ("Which {kind} was established first, {x} or {y}?", "Which {kind} was founded earlier, {x} or {y}?",
         "Which {kind} opened first, {x} or {y}?", "Which {kind} was formed first, {x} or {y}?"),
    ),
    _fact(
        "origin",
        "thing",
        rf"\b(?:is|was)\b[^.]{{0,40}}{_FROM}",
        ("Which country is {x} from?", "What is the country of origin of {x}?", "What country does {x} come from?"),
        ("Are {x} and {y} from the same country?", "Are {x} and {y} both from the same country?",
         "Are both {kinds} {x} and {y} from the same country?", "Do {x} and {y} come from the same country?"),
    ),
    _fact(
        "place",
        "thing",
        r"\b(?:located|situated|lies|village|town|city|headquartered|based) (?:in|at|on)\b",
        ("Where is {x} located?", "In which country is {x}?", "What city is {x} located in?"),
        ("Are {x} and {y} located in the same country?", "Are both {kinds} {x} and {y} located in the same country?",
         "Are {x} and {y} both located in the same country?"),
    ),
    _fact(
        "people",
        "thing",
        r"\bpopulation\b|\binhabitants\b",
        ("What is the population of {x}?", "How many people live in {x}?", "How many inhabitants does {x} have?"),
        ("Which {kind} has more people, {x} or {y}?",),
    ),
    _fact(
        "maker",
        "thing",
        r"\b(?:directed|written|composed|produced|performed|recorded|designed|published|developed|created) by\b",
        ("Who made {x}?", "Who is behind {x}?"),
    ),
)  # fmt: skip


def facts_of(portrait: Portrait) -> list[Fact]:
    """Return the facts that a passage says."""
    return [fact for fact in FACTS if fact.is_said_by(portrait)]


_KIN = {
    ("father", "father"): "paternal grandfather",
    ("father", "mother"): "paternal grandmother",
    ("mother", "father"): "maternal grandfather",
    ("mother", "mother"): "maternal grandmother",
    ("parent", "father"): "grandfather",
    ("parent", "mother"): "grandmother",
    ("husband", "father"): "father-in-law",
    ("husband", "mother"): "mother-in-law",
    ("wife", "father"): "father-in-law",
    ("wife", "mother"): "mother-in-law",
    ("son", "child"): "grandchild",
    ("daughter", "child"): "grandchild",
    ("father", "wife"): "stepmother",
    ("mother", "husband"): "stepfather",
    ("father", "brother"): "uncle",
    ("mother", "brother"): "uncle",
    ("father", "sister"): "aunt",
    ("mother", "sister"): "aunt",
    ("wife", "sibling"): "sibling-in-law",
    ("husband", "sibling"): "sibling-in-law",
    ("brother", "wife"): "sister-in-law",
    ("sister", "husband"): "brother-in-law",
}
_KIN_CUES = {
    "father": re.compile(r"\b(?:son|daughter|child) of\b|\bfather\b"),
    "mother": re.compile(r"\b(?:son|daughter|child) of\b[^.]*\band\b|\bmother\b"),
    "child": re.compile(r"\b(?:his|her|their) (?:son|daughter|children)\b|\b(?:father|mother) of\b"),
    "wife": re.compile(r"\bmarried\b|\bwife\b"),
    "husband": re.compile(r"\bmarried\b|\bhusband\b"),
    "brother": re.compile(r"\bbrothers?\b"),
    "sister": re.compile(r"\bsisters?\b"),
    "sibling": re.compile(r"\b(?:brothers?|sisters?|siblings?)\b"),
}


def kinship(role: str, portrait: Portrait) -> list[str]:
    """Return what the relatives of a relative are called: ``role`` "father" and a passage that names his father
    give "paternal grandfather"."""
    return [
        name
        for (first, second), name in _KIN.items()
        if first == role and _KIN_CUES[second].search(portrait.text) is not None
    ]
