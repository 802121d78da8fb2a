"""Finds the edges of the knowledge graph: titles that texts mention, rare phrases they share, neighbours in a document.

For a corpus without titles, shared names and phrases are the only edges between documents. They are a relation of their
own, because an edge over a rare string is far less sure than a mention.
"""

from __future__ import annotations

import re
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..retrievers.protocols import Progress
from ..retrievers.words._analyser import STOP_WORDS
from ..retrievers.words._terms import TermIndex, analyse, rarity
from ..retrievers.words._titles import TitleMatcher
from ._edges import Edges, Relation
from ._generic_titles import Phrase, are_headings, generic_phrases, phrase_of

STRONGEST = 10
"""Edges that a passage asks for; it may get more from passages that ask for it."""

LEAST_FREQUENCY = 2
BLOCK = 4096
"""Passages whose links over what is shared are computed together."""

_AT_ONCE = 1 << 22
"""Hashes that are looked up together, so that places in 64 bits take little RAM."""

_CAPITAL = r"[^\W\d_a-zß-öø-ÿα-ωа-яё]"
# A full stop belongs to a name only after an initial or an abbreviation. Possessive repeats and the look-behind keep
# the search linear in runs of capitals without a space (base64, nucleotides).
_CAPITALISED = rf"(?:(?:{_CAPITAL}\w{{0,2}}\.)++(?:{_CAPITAL}[\w'’-]*+)?|{_CAPITAL}[\w'’-]*+)"
_NAME = re.compile(rf"(?<![\w'’.-]){_CAPITALISED}(?: (?:(?:of|the|de|la|von|van|der|and) ){{0,2}}{_CAPITALISED})+")
_NAME_END = re.compile(r"(?:['’]s|[.'’-])$")


class ByRow(Protocol):
    """Something of every passage, such as its title."""

    def __getitem__(self, row: int, /) -> object:
        """Return that of one."""
        ...


@dataclass(frozen=True)
class Mentions:
    """Mentions that texts have, sources in the order of the texts.

    Attributes:
        source, target: int64 [m], rows of passages.
        relation, start, end: int64 [m]: see :class:`Edges`.
        phrases: words of each mention, where they were asked for.
    """

    source: NDArray[np.int64]
    target: NDArray[np.int64]
    relation: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    phrases: Sequence[Phrase]

    def named(self) -> Counter[Phrase]:
        """Return how many passages name a title by each phrase."""
        return Counter(phrase for _, phrase in set(zip(self.source.tolist(), self.phrases, strict=True)))


def link_titles(
    titles: Sequence[str],
    texts: Sequence[str],
    matcher: TitleMatcher,
    document_ids: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Edges:
    """Link each passage to those whose title its text mentions, at the first mention; sources ascend.

    A passage is not linked to itself, to other parts of its document, or to passages of the same title, nor to titles
    that name nothing: see :mod:`._generic_titles`.

    Args:
        titles: the title of every passage, "" for none, in row order.
        texts: the text of every passage.
        matcher: finds the titles.
        document_ids: the document of every passage; without them every passage counts as a document.
        progress: called with (stage, done, total) at every thousandth passage.
    """
    headings = are_headings(titles)
    found = find_mentions(range(len(texts)), texts, matcher, titles, document_ids, headings, progress)
    ends = found.source.astype(np.int32), found.target.astype(np.int32)
    places = found.start.astype(np.int32), found.end.astype(np.int32)
    edges = Edges(*ends, found.relation.astype(np.int8), *places, np.ones(len(found.source), np.float32))
    if not headings:
        return edges
    generic = generic_phrases(found.named(), texts)
    return edges.where(np.array([phrase not in generic for phrase in found.phrases], np.bool_))


def find_mentions(
    rows: Sequence[int],
    texts: Iterable[str],
    matcher: TitleMatcher,
    titles: ByRow,
    document_ids: ByRow | None,
    with_phrases: bool,
    progress: Progress | None = None,
) -> Mentions:
    """Find the titles that texts mention, generic ones too.

    Args:
        rows: of the passages that are read.
        texts: of these passages, in their order.
        matcher, titles, document_ids: as for :func:`mentions_of`.
        with_phrases: whether the words of mentions are wanted.
        progress: called with (stage, done, total) at every thousandth passage.
    """
    found, phrases = array("q"), list[Phrase]()
    for done, (row, text) in enumerate(zip(rows, texts, strict=True), start=1):
        for mention in mentions_of(row, text, matcher, titles, document_ids):
            found.extend((row, *mention))
            if with_phrases:
                phrases.append(phrase_of(text[mention[2] : mention[3]]))
        if progress is not None and done % 1000 == 0:
            progress("linking titles", done, len(rows))
    if progress is not None:
        progress("linking titles", len(rows), len(rows))
    source, target, relation, start, end = np.array(found, np.int64).reshape(-1, 5).T.copy()
    return Mentions(source, target, relation, start, end, phrases)


def mentions_of(
    row: int, text: str, matcher: TitleMatcher, titles: ByRow, document_ids: ByRow | None = None
) -> Iterator[tuple[int, Relation, int, int]]:
    """Iterate over the passages that the passage at ``row`` mentions: (row, relation, start, end), each row once."""
    linked: set[int] = set()
    for mention in matcher.find(text):
        for other in mention.rows:
            of_one = document_ids is not None and document_ids[other] == document_ids[row]
            if other in linked or of_one or titles[other] == titles[row]:
                continue
            linked.add(other)
            kind = Relation.ALIAS_MENTION if mention.kind == "alias" else Relation.TITLE_MENTION
            yield other, kind, mention.start, mention.end


def link_neighbours(document_ids: Sequence[str]) -> Edges:
    """Link each passage of a document to the next one of that document, in row order."""
    source: list[int] = []
    target: list[int] = []
    last: dict[str, int] = {}
    for row, document in enumerate(document_ids):
        if document in last:
            source.append(last[document])
            target.append(row)
        last[document] = row
    return Edges.of(source, target, Relation.ADJACENT)


def frequency_cap(passages: int) -> int:
    """Return the highest document frequency of a rare phrase: 0.2 % of the passages, between 10 and 50.

    The upper bound keeps the cost of ``share_edges`` linear in the length of the corpus.
    """
    return min(max(10, passages // 500), 50)


def key_phrases(text: str) -> set[int]:
    """Return hashes of the names of several words and of the pairs of neighbouring terms in ``text``."""
    return set(map(phrase_hash, phrases_of(text)))


def phrases_of(text: str) -> set[str]:
    """Return the names of several words, in lower case, and the pairs of neighbouring terms in ``text``."""
    return {" ".join(pair) for pair in term_pairs(text)} | names_of(text)


def term_pairs(text: str) -> set[tuple[str, str]]:
    """Return the pairs of neighbouring terms in ``text``, whatever stop words stand between them."""
    return set(pairwise(analyse(text)))


def names_of(text: str) -> set[str]:
    """Return the names of several words in ``text``, in lower case."""
    return set(filter(None, map(_plain_name, _NAME.findall(text))))


def phrase_hash(phrase: str) -> int:
    """Return the CRC-32 of a phrase, by which it is known."""
    return zlib.crc32(phrase.encode("utf-8", "surrogatepass"))


def _plain_name(name: str) -> str:
    """Return ``name`` in lower case, without the small words that begin it and a genitive; "" for a single word."""
    words = _NAME_END.sub("", name).lower().split(" ")
    while words and words[0] in STOP_WORDS:
        del words[0]
    return " ".join(words) if len(words) > 1 else ""


def share_edges(texts: Sequence[str], terms: TermIndex, progress: Progress | None = None) -> Edges:
    """Link each passage to the ``STRONGEST`` others by the summed idf of rare terms and phrases they share.

    Rare means in at least two passages and in at most ``frequency_cap`` of them. Edges run from the smaller row
    to the greater, weight = summed idf. The cost is the sum of the squared frequencies: postings times the cap.
    """
    from scipy import sparse

    rows, columns, idf = _rare_postings(texts, terms, progress)
    count = len(texts)
    shape = (count, len(idf))
    has = sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    weighted = sparse.csr_array((idf[columns], (rows, columns)), shape=shape).T.tocsr()
    asked = []
    for first in range(0, count, BLOCK):
        last = min(first + BLOCK, count)
        source, target, weight = strongest(has[first:last] @ weighted, np.arange(first, last))
        asked.append((source + first, target, weight))
        if progress is not None:
            progress("linking shared phrases", last, count)
    if not asked:
        return Edges.of([], [], Relation.SHARES)
    source, target, weight = map(np.concatenate, zip(*asked, strict=True))
    return each_once(source, target, weight, count)


def each_once(
    source: NDArray[np.int64], target: NDArray[np.int64], weight: NDArray[np.float32], passages: int
) -> Edges:
    """Return links over what is shared, each once, from the smaller row to the greater."""
    low, high = np.minimum(source, target), np.maximum(source, target)
    _, first_of = np.unique(low * passages + high, return_index=True)
    return Edges.of(low[first_of], high[first_of], Relation.SHARES, weight[first_of])


def gather_phrases(
    texts: Iterable[str], passages: int, progress: Progress | None
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return the :func:`key_phrases` of texts one after the other, and how many each of so many texts has."""
    gathered = array("I")
    counts = np.zeros(passages, np.int64)
    for row, text in enumerate(texts):
        found = key_phrases(text)
        gathered.extend(found)
        counts[row] = len(found)
        if progress is not None and row % 1000 == 999:
            progress("gathering phrases", row + 1, passages)
    return np.frombuffer(gathered, np.uint32), counts


def _rare_postings(
    texts: Sequence[str], terms: TermIndex, progress: Progress | None
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Return the postings (row, phrase) of rare terms and phrases, and the idf of each: terms first, then phrases."""
    phrases, counts = gather_phrases(texts, len(texts), progress)
    rows, columns, frequencies = [], [], []
    known = 0
    # Terms and phrases apart: neither must be taken for the other, and each needs only half the RAM.
    for hashes, lengths, distinct in (
        (terms.hashes, np.diff(terms.offsets), (terms.vocabulary, terms.frequencies)),
        (phrases, counts, np.unique(phrases, return_counts=True)),
    ):
        rare = are_rare(distinct[1], len(texts))
        column, kept = _places(hashes, distinct[0][rare])
        rows.append(np.repeat(np.arange(len(texts), dtype=np.int32), lengths)[kept])
        columns.append(column + np.int32(known))
        frequencies.append(distinct[1][rare])
        known += len(frequencies[-1])
    return np.concatenate(rows), np.concatenate(columns), rarity(np.concatenate(frequencies), len(texts))


def are_rare(frequencies: NDArray[np.int64], passages: int) -> NDArray[np.bool_]:
    """Return whether what so many of the passages have links them."""
    return (frequencies >= LEAST_FREQUENCY) & (frequencies <= frequency_cap(passages))


def _places(hashes: NDArray[np.uint32], wanted: NDArray[np.uint32]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return which of ``hashes`` are among the sorted ``wanted``, and the places of those that are."""
    kept = np.zeros(len(hashes), np.bool_)
    places = []
    for first in range(0, len(hashes), _AT_ONCE):
        part = hashes[first : first + _AT_ONCE]
        place = np.minimum(np.searchsorted(wanted, part), max(len(wanted) - 1, 0)).astype(np.int32)
        inside = wanted[place] == part if len(wanted) else np.zeros(len(part), np.bool_)
        kept[first : first + _AT_ONCE] = inside
        places.append(place[inside])
    return np.concatenate([*places, np.zeros(0, np.int32)]), kept


def strongest(shared: Any, own: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return the passages that some passages share most with, ``STRONGEST`` of each at most, ties by the smaller.

    Args:
        shared: sparse matrix [n, N] of the summed idf of what they share with each.
        own: the column of each of them, int64 [n].

    Returns:
        their places in ``own``, the columns of the others, and the weights.
    """
    from scipy import sparse

    entries = sparse.coo_array(sparse.csr_array(shared))
    source, target = entries.row.astype(np.int64), entries.col.astype(np.int64)
    weight = np.asarray(entries.data, np.float32)
    other = target != own[source]
    source, target, weight = source[other], target[other], weight[other]
    order = np.lexsort((target, -weight, source))
    source, target, weight = source[order], target[order], weight[order]
    begins = np.searchsorted(source, source, side="left")
    kept = np.arange(len(source)) - begins < STRONGEST
    return source[kept], target[kept], weight[kept]
