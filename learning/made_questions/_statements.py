"""Questions that a sentence answers: what it defines, what it tells to do, who or what it says something of."""

from __future__ import annotations

import re

import numpy as np

from ...retrievers.words._analyser import STOP_WORDS
from ._wording import bare, fill, said_by_me, small_start, verb_of

_AUXILIARIES = "is|are|was|were|can|could|may|might|must|should|will|would"
_STATES = re.compile(rf"^(?P<of>[^,;:]{{2,80}}?)\s(?P<aux>{_AUXILIARIES})\s(?P<rest>[a-z].{{6,}})$")
_NOBODY = re.compile(
    r"^(?:if|when|while|although|though|since|because|after|before|once|unless|until|as|for|from|in|on|at|by|with|to|and|but|or|so|"
    r"following|the\s+following|it|this|that|these|those|there|here|they|he|she|we|you|i|its|their|his|her|our|what|which|who|how|why|where|however|thus|"
    r"therefore|not|note|see|such|one|some|all|both|each|most|many|another|other|please|notice|assume|can|why|any)\b",
    re.IGNORECASE,
)
_DEFINES = re.compile(
    r"^(?:An?\s|The\s)?(?P<name>[^,;:.|(){}\[\]=]{2,60}?)(?:\s\((?P<short>[^()]{2,15})\))?,?\s"
    r"(?:is|are|was|were|means|refers\sto|stands\sfor|describes)\s(?P<what>(?:an?|the|any|one\sof|when|where)\s[a-z].{8,})$"
)
_SAID_TWICE = re.compile(r"^(.+)\s(?:(?:an?|the)\s)?(\1)$", re.IGNORECASE)
"""A heading that runs into its sentence: "Tumor grade The tumor grade is"."""

_RELATIVE = re.compile(
    r"^(?:an?|the|any)\s(?P<kind>(?:[\w-]+\s){0,2}?[\w-]+(?:\sof\s[\w-]+)?)\s(?:that|which|who)\s(?P<does>.{8,})$"
)
_SHORT_FOR = re.compile(r"\b(?P<long>(?:[\w’'-]+\s){1,6}?[\w’'-]+)\s\((?P<short>[A-Z][A-Za-z]{1,6})\)")
_PURPOSE = re.compile(r"^(?:In order to|To)\s(?P<do>[a-z]+\s[^,;:]{4,90}),\s", re.IGNORECASE)
_USE_TO = re.compile(r"\b(?:[Uu]se|[Uu]sed|[Uu]sing)\s(?P<with>[^,;.]{2,60}?)\sto\s(?P<do>[a-z]+\s[^,;:.]{4,80})")
_YOU_CAN = re.compile(
    r"\b[Yy]ou\s(?:can|could|may|should|must|need to|have to|will need to)\s(?:also\s|now\s|then\s)?"
    r"(?P<do>[a-z]+\s[^,;:]{4,90})"
)
_LETS = re.compile(
    r"\b(?:allow(?:s|ing)?|enabl(?:es?|ing)|lets|help(?:s|ing)?)\s(?:[a-z]+\s)?(?:to\s)?(?P<do>[a-z]+\s[^,;:.]{4,80})"
)
_CLAUSE_END = re.compile(
    r"[;:]|,\s(?:and|but|which|who|where|while|with|so|such|including|because)\b|\s(?:because|although|whereas)\s|\.\s"
)
_AUXILIARY = frozenset(_AUXILIARIES.split("|"))
_NO_TASKS = frozenset(
    {
        "see",
        "refer",
        "let",
        "note",
        "become",
        "remain",
        "occur",
        "arise",
        "consist",
        "need",
        "include",
        "contain",
        "involve",
        "result",
        "depend",
        "represent",
        "indicate",
        "expect",
    }
)
_LONGEST_SUBJECT = 5
"""Words of a subject before a verb that may be a noun, too."""

_LONGEST = 16
"""Words of what is taken over from a sentence."""


def defined(sentence: str) -> tuple[str, str]:
    """Return (name, what it is) where a sentence says what something is, else ("", "")."""
    match = _DEFINES.match(sentence)
    if match is None:
        return "", ""
    name = _SAID_TWICE.sub(r"\2", match["name"].strip())
    if _NOBODY.match(name) or not 1 <= len(name.split()) <= 5 or name.lower() in STOP_WORDS:
        return "", ""
    plain = re.search(
        rf"\b(?:{_AUXILIARIES}|has|have|had|that|which|of|in|on|for|with|and|between|than|your|our|only|points?)\b",
        name,
    )
    return ("", "") if plain else (name, shortened(match["what"]))


def definition(sentence: str, rng: np.random.Generator) -> list[str]:
    """Return questions for what a sentence defines, by its name or by what it is."""
    questions = []
    name, what = defined(sentence)
    if name:
        called = name if any(map(str.isupper, name[1:])) else name.lower()
        questions.append(fill("definition", rng, x=called))
        relative = _RELATIVE.match(what)
        if relative is not None:
            questions.append(f"Which {relative['kind']} {relative['does']}?")
        elif len(what.split()) > 5:
            questions.append(f"What is the name for {what}?")
    for match in _SHORT_FOR.finditer(sentence):
        words = match["long"].split()[-len(match["short"]) :]
        if "".join(word[0] for word in words).lower() == match["short"].rstrip("s").lower()[: len(words)]:
            questions.append(fill("abbreviation", rng, x=match["short"]))
    return questions


def tasks(sentence: str) -> list[str]:
    """Return what a sentence says how to do, each as a verb with what follows it: "delete an account"."""
    found = []
    first, *others = sentence.split(" ")
    if first.istitle() and verb_of(first.lower()) == first.lower() and not _is_said(others[:4]):
        found.append(sentence[:1].lower() + sentence[1:])
    for pattern in (_PURPOSE, _USE_TO, _YOU_CAN, _LETS):
        found += [match["do"] for match in pattern.finditer(sentence)]
    done = [said_by_me(shortened(task)) for task in found if _is_doing(task.split(" "))]
    return [task for task in done if len(task.split()) > 1]


def _is_said(words: list[str]) -> bool:
    """Return whether words after a first one say something of it, so that it is a noun."""
    return any(word in _AUXILIARY or (word.endswith("s") and word != verb_of(word) != "") for word in words)


def _is_doing(words: list[str]) -> bool:
    return verb_of(words[0]) == words[0] not in _NO_TASKS and words[1].lower() not in (
        "us",
        "me",
        "you",
        "him",
        "it",
        "them",
    )


def heading_tasks(heading: str) -> list[str]:
    """Return what a heading is about doing: "Deleting an account" and "How to delete an account" are one."""
    words = bare(re.sub(r"^(?:How to|Guide to|Steps? to|Tips (?:for|on)|\d[\d.]*)\s", "", heading, flags=re.IGNORECASE))
    if len(words) < 2 or len(words) > 10:
        return []
    verb = verb_of(words[0].lower())
    if not verb or not (words[0].lower() == verb or words[0].lower().endswith("ing")):
        return []
    return [" ".join([verb, *(word if any(map(str.isupper, word[1:])) else word.lower() for word in words[1:])])]


def stated(sentence: str, rng: np.random.Generator) -> list[str]:
    """Return questions for the subject of a sentence, for what is said of it, or for a number in it."""
    sentence = sentence.lstrip("“”\"'‘( ")
    match = _STATES.match(sentence)
    if match is None or _NOBODY.match(match["of"]) or len(match["of"].split()) > 9:
        return _done_by(sentence)
    subject, auxiliary, rest = small_start(match["of"]), match["aux"], shortened(match["rest"])
    first = match["of"].split()[0]
    told = first.istitle() and verb_of(first.lower()) == first.lower()
    if told or re.search(r"\b(?:that|which|who|not)$", subject) or len(rest.split()) < 3:
        return []
    telling = [word for word in rest.lower().split() if word not in STOP_WORDS]
    bare_rest = re.match(r"(?:an?|the|to|not|also|now|only)\b", rest) or len(telling) < 3
    questions = [] if bare_rest else [f"What {auxiliary} {rest}?"] * 2
    number = re.search(r"(?<![\w.$€£-])\d[\d,.]*(?=\s[a-z]{3,}s\b)", rest)
    if number is not None:
        counted, after = rest[number.end() :].split()[0], " ".join(rest[number.end() :].split()[1:])
        questions.append(
            f"How many {counted} {auxiliary} {subject} {rest[: number.start()].strip()} {after}".strip() + "?"
        )
    word = ("How", "Why", "When", "In which way")[int(rng.integers(4 if auxiliary not in ("is", "are") else 2))]
    if re.match(r"[a-z]+(?:ed|en|wn|lt)\b", rest) or auxiliary not in ("is", "are", "was", "were"):
        questions += [f"{word} {auxiliary} {subject} {rest}?"] * 2
    return questions


def _done_by(sentence: str) -> list[str]:
    """Return questions for a sentence around another verb: "Smoking causes cancer" gives "What causes cancer?"."""
    words = sentence.split()
    for place, word in enumerate(words[1:9], start=1):
        base = verb_of(word) if word.endswith(("s", "ed")) or word in ("led", "became", "found") else ""
        before, after = " ".join(words[:place]), shortened(" ".join(words[place + 1 :]))
        if not base or words[place - 1].lower() in STOP_WORDS or len(after.split()) < 2:
            continue
        if _NOBODY.match(before) or any(mark in before for mark in ",;:(") or place > _LONGEST_SUBJECT:
            return []
        following = words[place + 1].lower()
        if following.endswith("ed") or following == "of" or _AUXILIARY.intersection(words[place + 1 : place + 9]):
            continue
        does = "does" if word.endswith("s") else "did"
        ends = after.split()
        prompt = f"What {does} {small_start(before)} {base}?" if place > 1 else ""
        asked = [f"What {word} {after}?", f"How {does} {small_start(before)} {base} {' '.join(ends[:10])}?", prompt]
        return [question for question in asked if question]
    return []


def shortened(text: str) -> str:
    """Return the first clause of a text, some words of it at most, without the mark at its end."""
    clause = _CLAUSE_END.split(text, maxsplit=1)[0].split()[:_LONGEST]
    while clause and (clause[-1].lower().strip(",") in STOP_WORDS or not any(map(str.isalnum, clause[-1]))):
        del clause[-1]
    return " ".join(clause).rstrip(".,:;!?\"”’'")
