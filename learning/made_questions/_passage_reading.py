"""What one passage has that can be asked for: prose, headings, identifiers, errors, programs, table cells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from ...retrievers.records import Passage
from ...retrievers.words._analyser import STOP_WORDS, identifiers
from ._wording import bare

_HEADING_MARK = re.compile(r"^#{1,6}\s+|^=+\s*|\s*#+$")
_NO_PROSE = re.compile(
    r"^\W*(?:[Dd]ef|class|return|import|from|public|private|print|raise)\s|[{}|<>\\=©]|https?:|\w\(\)|@\.@|\.\.\.|…|_{2}|^[\W\d]*$"
)
_POINTS = re.compile(
    r"\b(?:the following|as follows|sets? forth|set out|[Ss]ee note|[Rr]efer to|shown (?:above|below))\b"
)
"""Sentences that say where something stands, instead of it."""

_BRACKETED = re.compile(r"[(\[{=,;<>\"'`]")
_NO_MESSAGE = re.compile(
    r"[#(=<>]|\b(?:return|pass|raise|else|continue|print|self|if|while|for)\b(?=\W*\w*$|:)|:\s(?:return|pass|raise|#)"
)
"""Code that stands where the message of an error would."""

_GLUED = re.compile(r"[a-z]{2}[A-Z][a-z]+[A-Z][a-z]|[a-z]{3}[A-Z](?!cript)[a-z]{2}|[a-z]{2}\.[A-Z][a-z]|[A-Za-z]{35}")
"""Words that a page's layout has run together."""

_ERROR = re.compile(
    r"\b[A-Z]\w*(?:Error|Exception|Warning|Failure)\b:\s?[^\n\"'`{}]{0,100}"
    r"|\b[a-z]+(?:_[a-z]+)*_error\b:\s?[^\n\"'`{}]{0,100}"
    r"|(?:[Ee]rror|[Ff]atal|[Pp]anic):\s[^\n\"'`{}]{8,100}"
    r"|(?<=[\"'`])(?:[A-Z]\w+\s)?(?:[Cc]annot|[Cc]ould not|[Ff]ailed to|[Ii]nvalid|[Uu]nable to|[Mm]issing)\s"
    r"[^\n\"'`{}]{6,90}"
)
_DEFINED = re.compile(
    r"(?:^|\n)\s*(?:(?:public|private|protected|static|async|export|final)\s+)*"
    r"(?:(?P<python>def)|(?P<javascript>function)|(?P<go>func)|(?P<rust>fn)|(?P<java>[\w<>\[\],]+))\s+(?P<name>[A-Za-z_]\w{2,60})\s*\("
)
_COMMENT = re.compile(r"\"\"\"(.+?)\"\"\"|'''(.+?)'''|/\*\*?(.+?)\*/|(?:^|\n)\s*(?:#|//)\s?(.+)", re.DOTALL)
_LANGUAGES = ("python", "javascript", "go", "rust", "java")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_\W]+")
_CELL_MARKS = re.compile(r"^[\s:=-]+$")
_YEAR = re.compile(r"(?:19|20)\d\d\b")
_AMOUNT = re.compile(r"^[\s$€£(−–-]*[\d.,]+\s*%?\)?%?\s*$|^[\s–—-]*$|^\$?\s*\(?[\d.,]+\)?$")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table by what names it; ``others`` are the names of its row's other columns."""

    row: str
    column: str
    others: tuple[str, ...]
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A function: its language, its name in words, and what its comment says it does, "" for none."""

    language: str
    name: str
    purpose: str


class PassageReading:
    """One passage, read for what can be asked; each part is found when it is first wanted.

    Args:
        row: of the passage.
        passage: the passage.
    """

    def __init__(self, row: int, passage: Passage) -> None:
        self.row = row
        self.passage = passage
        self.title = passage.title

    @cached_property
    def is_empty(self) -> bool:
        """Whether there is nothing but its title."""
        return len(set(bare(self.passage.text)) - set(bare(self.title))) < 2

    @cached_property
    def sentences(self) -> list[str]:
        """The sentences of prose, in order, without those of code, tables, references and lists."""
        alone = "\n" not in self.passage.text.strip()
        parts = [
            " ".join(line.split())
            for begin, end in self.passage.sentences
            for line in self.passage.text[begin:end].split("\n")
        ]
        return [
            part.lstrip("-*•0123456789.)( \"'`/#") for part in parts if is_prose(part) and (alone or part[-1] in ".!?:")
        ]

    @cached_property
    def headings(self) -> list[str]:
        """The title and the lines that stand above text, without their marks."""
        found = [" ".join(word for word in _HUMP.split(self.title) if word) if " " not in self.title else self.title]
        found = [heading for heading in found if heading]
        lines = self.passage.text.split("\n")
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            marked = line.startswith("#") and " " in line
            alone = line[:1].isupper() and not after.strip() and line.strip()[-1:].isalnum() and len(lines) > 2
            if (
                (marked or alone)
                and 2 <= len(bare(line)) <= 9
                and ":" not in line
                and not _NO_PROSE.search(line)
                and not _GLUED.search(line)
            ):
                found.append(_HEADING_MARK.sub("", line).strip())
        return list(dict.fromkeys(found))

    @cached_property
    def identifiers(self) -> list[tuple[str, str]]:
        """The identifiers that a person would type, each with the line it stands on."""
        text = self.passage.text
        found: dict[str, str] = {}
        for one in identifiers(text):
            written = _BRACKETED.split(text[one.start : one.end].strip("\"'`()[]{},.;:*!?=<>&|“”‘’$"))[0]
            if 4 <= len(written) <= 40 and re.fullmatch(r"[A-Za-z@][\w./:@+#-]*", written) and _can_be_typed(written):
                if not re.search(r"[\d_./:@+#-]", written) and not _is_marked(text, one.start, one.end):
                    continue
                begin = text.rfind("\n", 0, one.start) + 1
                end = text.find("\n", one.end)
                found.setdefault(written, text[max(begin, one.start - 150) : end if end >= 0 else None][:300])
        return list(found.items())

    @cached_property
    def errors(self) -> list[str]:
        """The messages of errors."""
        found = [" ".join(match[0].split()).rstrip(" .,:;") for match in _ERROR.finditer(self.passage.text)]
        return [
            message
            for message in dict.fromkeys(found)
            if 3 <= len(bare(message)) <= 16 and not _NO_MESSAGE.search(message)
        ]

    @cached_property
    def programs(self) -> list[Program]:
        """The functions that begin in the passage."""
        text = self.passage.text
        found = []
        for match in list(_DEFINED.finditer(text))[:3]:
            language = next(name for name in _LANGUAGES if match[name])
            if language == "java" and (
                match["java"] in ("return", "new", "else", "if", "for", "while", "case") or ";" not in text
            ):
                continue
            words = " ".join(word.lower() for word in _HUMP.split(match["name"]) if word)
            comment = _COMMENT.search(text, match.end(), match.end() + 600)
            purpose = "" if comment is None else next(filter(None, comment.groups()), "")
            found.append(Program(language, words, _first_words(purpose)))
        return found

    @cached_property
    def cells(self) -> list[Cell]:
        """The cells of numbers whose row and column have a name."""
        if "|" not in self.passage.text:
            return []
        text = self.passage.text
        lines = text.split("\n") if text.count("\n") >= text.count(" ; ") else text.split(" ; ")
        table = [
            [cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in [*self.passage.lead.split("\n"), *lines]
        ]
        table = [row for row in table if any(row) and not all(_CELL_MARKS.match(cell) for cell in row if cell)]
        return _cells(table)


def is_prose(text: str) -> bool:
    """Return whether a text is a sentence that states something, and no code, table, reference or question."""
    words = text.split()
    if (
        text.endswith("?")
        or not 5 <= len(words) <= 45
        or any(mark.search(text) for mark in (_NO_PROSE, _GLUED, _POINTS))
    ):
        return False
    small = sum(word.lower().strip(",.") in STOP_WORDS for word in words)
    letters = sum(word.strip(",.;:()'\"’“”").isalpha() for word in words)
    shouting = sum(word.isupper() and len(word) > 1 for word in words)
    return small >= max(1, len(words) // 8) and letters >= 0.75 * len(words) and shouting <= len(words) // 4


def _can_be_typed(written: str) -> bool:
    digits = sum(map(str.isdigit, written))
    footnote = re.fullmatch(r"[A-Za-z]*[a-z]{3,}[.:]?\d+|[A-Z]{3,}\d|\S*#\S*|\S*\d{9,}\S*|\S+\.[a-z]{2,}\d", written)
    return (
        not footnote
        and digits <= len(written) // 3
        and not re.search(r"[a-z]\d[a-z]\d|^\w{25,}$|https?:|www\.|[.:/]{2}|[a-z]{2}\.[A-Z]", written)
    )


def _is_marked(text: str, start: int, end: int) -> bool:
    """Return whether a name stands among the marks of a program, where it is no words that were run together."""
    return re.search(r"[`\"'(._=<>/\[{]", text[max(0, start - 1) : end + 1]) is not None


def _first_words(comment: str) -> str:
    """Return the first sentence of a comment, as a task where it begins with a verb."""
    lines = (line.strip(" *#/\t!") for line in comment.strip().split("\n"))
    first = re.split(
        r"(?<=\w)[.:;](?:\s|$)|\n|\s{2,}|@param|:param|Args\b|Parameters\b", "\n".join(filter(None, lines)).strip()
    )[0]
    words = [word for word in bare(first)[:14] if not word.startswith(":")]
    return " ".join(words) if len(words) >= 2 else ""


def _cells(table: list[list[str]]) -> list[Cell]:
    found: list[tuple[str, str, tuple[str, ...]]] = []
    columns: list[str] = []
    for row in table:
        amounts = [bool(_AMOUNT.match(cell)) for cell in row]
        years = sum(bool(_YEAR.search(cell)) for cell in row)
        if years >= max(1, len(row) - 1) or (len(row) > 1 and not any(amounts[1:])):
            columns = row
            continue
        label = re.sub(r"\s*\(?\d*\)?$", "", row[0]).strip(" :")
        if len(row) < 2 or not columns or amounts[0] or not 1 <= len(bare(label)) <= 12 or label.lower() == "total":
            continue
        names = columns[1:] if len(columns) == len(row) else columns
        if len(names) != len(row) - 1 or not all(names):
            continue
        found += [
            (label, name, tuple(other for other in names if other != name))
            for name, is_amount in zip(names, amounts[1:], strict=True)
            if is_amount and len(name.split()) <= 10 and re.search(r"[A-Za-z]{3}|\d{4}", name)
        ]
    rows = tuple(dict.fromkeys(row for row, _, _ in found))
    return [Cell(row, column, others, rows) for row, column, others in found]
