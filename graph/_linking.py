"""Finds the edges of the knowledge graph: titles that texts mention, rare phrases they share, neighbours in a document.

For a corpus without titles, shared names and phrases are the only edges between documents. They are a relation of their
own, because an edge over a rare string is far less sure than a mention.
"""

from __future__ import annotations

import re
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..retrievers.protocols import Progress
from ..retrievers.words._analyser import STOP_WORDS
from ..retrievers.words._terms import TermIndex, analyse
from ..retrievers.words._titles import TitleMatcher
from ._edges import Edges, Relation
from ._generic_titles import are_headings, generic_phrases, phrase_of

STRONGEST = 10
"""Edges that a passage asks for; it may get more from passages that ask for it."""

LEAST_FREQUENCY = 2
_BLOCK = 4096
_AT_ONCE = 1 << 22
"""Hashes that are looked up together, so that places in 64 bits take little RAM."""

_CAPITAL = r"[^\W\d_a-zß-öø-ÿα-ωа-яё]"
# A full stop belongs to a name only after an initial or an abbreviation. Possessive repeats and the look-behind keep
# the search linear in runs of capitals without a space (base64, nucleotides).
_CAPITALISED = rf"(?:(?:{_CAPITAL}\w{{0,2}}\.)++(?:{_CAPITAL}[\w'’-]*+)?|{_CAPITAL}[\w'’-]*+)"
_NAME = re.compile(rf"(?<![\w'’.-]){_CAPITALISED}(?: (?:(?:of|the|de|la|von|van|der|and) ){{0,2}}{_CAPITALISED})+")
_NAME_END = re.compile(r"(?:['’]s|[.'’-])$")


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
    found = array("i")
    for row, text in enumerate(texts):
        for mention in mentions_of(row, text, matcher, titles, document_ids):
            found.extend((row, *mention))
        if progress is not None and row % 1000 == 999:
            progress("linking titles", row + 1, len(texts))
    if progress is not None:
        progress("linking titles", len(texts), len(texts))
    source, target, relation, start, end = np.array(found, np.int32).reshape(-1, 5).T.copy()
    edges = Edges(source, target, relation.astype(np.int8), start, end, np.ones(len(source), np.float32))
    return _without_generic(edges, texts) if are_headings(titles) else edges


def _without_generic(edges: Edges, texts: Sequence[str]) -> Edges:
    """Return mentions without those of titles that name nothing."""
    places = zip(edges.source.tolist(), edges.start.tolist(), edges.end.tolist(), strict=True)
    phrases = [phrase_of(texts[row][start:end]) for row, start, end in places]
    named = Counter(phrase for _, phrase in set(zip(edges.source.tolist(), phrases, strict=True)))
    generic = generic_phrases(named, texts)
    return edges.where(np.array([phrase not in generic for phrase in phrases], np.bool_))


def mentions_of(
    row: int, text: str, matcher: TitleMatcher, titles: Sequence[str], document_ids: Sequence[str] | None = None
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
    strongest = []
    for first in range(0, count, _BLOCK):
        strongest.append(_strongest(sparse.csr_array(has[first : first + _BLOCK] @ weighted), first))
        if progress is not None:
            progress("linking shared phrases", min(first + _BLOCK, count), count)
    if not strongest:
        return Edges.of([], [], Relation.SHARES)
    source, target, weight = map(np.concatenate, zip(*strongest, strict=True))
    # each pair once, from the smaller row to the greater
    low, high = np.minimum(source, target), np.maximum(source, target)
    _, first_of = np.unique(low * count + high, return_index=True)
    return Edges.of(low[first_of], high[first_of], Relation.SHARES, weight[first_of])


def _rare_postings(
    texts: Sequence[str], terms: TermIndex, progress: Progress | None
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Return the postings (row, phrase) of rare terms and phrases, and the idf of each: terms first, then phrases."""
    gathered = array("I")
    counts = np.zeros(len(texts), np.int64)
    for row, text in enumerate(texts):
        found = key_phrases(text)
        gathered.extend(found)
        counts[row] = len(found)
        if progress is not None and row % 1000 == 999:
            progress("gathering phrases", row + 1, len(texts))
    phrases = np.frombuffer(gathered, np.uint32)
    rows, columns, frequencies = [], [], []
    known = 0
    # Terms and phrases apart: neither must be taken for the other, and each needs only half the RAM.
    for hashes, lengths, distinct in (
        (terms.hashes, np.diff(terms.offsets), (terms.vocabulary, terms.frequencies)),
        (phrases, counts, np.unique(phrases, return_counts=True)),
    ):
        rare = (distinct[1] >= LEAST_FREQUENCY) & (distinct[1] <= frequency_cap(len(texts)))
        column, kept = _places(hashes, distinct[0][rare])
        rows.append(np.repeat(np.arange(len(texts), dtype=np.int32), lengths)[kept])
        columns.append(column + np.int32(known))
        frequencies.append(distinct[1][rare])
        known += len(frequencies[-1])
    df = np.concatenate(frequencies)
    idf = np.log1p((len(texts) - df + 0.5) / (df + 0.5)).astype(np.float32)
    return np.concatenate(rows), np.concatenate(columns), idf


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


def _strongest(block: Any, first: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return the STRONGEST entries of each row of ``block`` off the diagonal, ties by the smaller target."""
    from scipy import sparse

    entries = sparse.coo_array(block)
    source = entries.row.astype(np.int64) + first
    target, weight = entries.col.astype(np.int64), np.asarray(entries.data, np.float32)
    other = source != target
    source, target, weight = source[other], target[other], weight[other]
    order = np.lexsort((target, -weight, source))
    source, target, weight = source[order], target[order], weight[order]
    begins = np.searchsorted(source, source, side="left")
    kept = np.arange(len(source)) - begins < STRONGEST
    return source[kept], target[kept], weight[kept]
