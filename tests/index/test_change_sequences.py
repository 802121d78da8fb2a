"""After any changes, searches find and score as in an index that is built anew of the same segments' documents.

``SEQUENCES=200 pytest tests/index/test_change_sequences.py`` tries as many sequences.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trailhound import Document, Index, IndexSettings
from trailhound.index import _writing as writing
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.words._terms import term_hashes

ENGLISH = ["harbour", "Harbours", "gate", "gates", "of", "the", "Ada", "Marl", "Ada-Marl", "don't", "Old", "Mill"]
IDENTIFIERS = ["EMP-12_b", "v1.2.3", "2024-05-01", "x86_64", "C++", "_", "'", "🚢"]
SCRIPTS = ["naïve", "Straße", "МОСКВА", "москве", "東京", "東京都", "한국어", "हिन्दी", "ภาษาไทย"]
MORE = ["עברית", "العربية", "Ελλάδα", "İstanbul"]
WORDS = [*ENGLISH, *IDENTIFIERS, *SCRIPTS, *MORE, "e\u0301te"]
ASKED = ("harbours of Ada-Marl", "東京 МОСКВА", "EMP-12_b v1.2.3 don't", "हिन्दी naïve İstanbul", "Old Mill")
TITLES = ("Ada Marl", "Old Mill", "The Old Mill", "東京", "Москва", "EMP-12_b", "Marl (river)", "", "Harbour", "naïve")
NAMES = [f"d{number}" for number in range(9)]

texts = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
documents = st.tuples(st.sampled_from(NAMES), st.sampled_from(TITLES), texts)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(documents, min_size=1, max_size=3, unique_by=lambda drawn: drawn[0])),
        st.tuples(st.just("delete"), st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)),
    ),
    max_size=10,
)


def mentions(index: Index) -> set[tuple[str, str, int, int, int]]:
    """Return who mentions whom, by passage ids."""
    found = set()
    for row in index.store.rows().tolist():
        links = index.graph.neighbours(row, "mentions")
        named = [passage.id for passage in index.store.passages(links.rows.tolist())]
        places = zip(named, links.relations.tolist(), links.starts.tolist(), links.ends.tolist(), strict=True)
        found |= {(index.store.passage(row).id, *place) for place in places}
    return found


def built_anew(index: Index, place: Path, encoder: Encoder) -> Index:
    """Build an index of the documents of all segments of another, and delete those that are deleted there."""
    every: list[Document] = []
    gone: list[str] = []
    for segment, deleted in zip(index.parts.segments, index.parts.deleted, strict=True):
        for identifier, is_gone in zip(segment.document_ids, deleted.tolist(), strict=True):
            assert segment.store is not None
            document = segment.store.document(identifier)
            if is_gone:
                document = replace(document, id=f"gone-{len(gone)}")
                gone.append(document.id)
            every.append(document)
    anew = Index.build(every, place, settings=index.settings, encoder=encoder)
    anew.delete(gone)
    return anew


@settings(
    max_examples=int(os.environ.get("SEQUENCES", "8")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(documents, min_size=1, max_size=4, unique_by=lambda drawn: drawn[0]), steps, st.booleans())
def test_searches_are_those_of_an_index_built_anew(
    monkeypatch: pytest.MonkeyPatch, word_encoder: Encoder, base: list[Any], steps: list[Any], late: bool
) -> None:
    monkeypatch.setattr(writing, "MERGED_AT_ONCE", 3)
    kept = Document("kept", "Kept", "harbour gate of Ada Marl in 東京")
    with TemporaryDirectory() as folder:
        start = [kept, *(Document(*drawn) for drawn in base)]
        how = IndexSettings(late_interaction=late)
        index = Index.build(start, Path(folder) / "x", settings=how, encoder=word_encoder)
        for kind, arguments in steps:
            if kind == "add":
                index.add([Document(*drawn) for drawn in arguments], replace=True)
            else:
                index.delete(index.store.having(arguments))
        anew = built_anew(index, Path(folder) / "y", word_encoder)
        opened = Index.open(index.path, encoder=word_encoder)
        assert index.store.columns() == opened.store.columns()
        assert [(p.title, p.text) for p in index.store] == [(p.title, p.text) for p in anew.store]
        for text in (
            "harbours of Ada-Marl",
            "東京 МОСКВА",
            "EMP-12_b v1.2.3 don't",
            "हिन्दी naïve İstanbul",
            "Old Mill",
        ):
            query = index.query(text)
            for name in ("lexical", "dense", "entity"):
                expected = anew.sub_indexes[name].search(query, 8)
                for some in (index, opened):
                    hits = some.sub_indexes[name].search(query, 8)
                    np.testing.assert_allclose(hits.scores, expected.scores, rtol=1e-6, atol=1e-6)
                    if len(set(np.round(expected.scores, 5).tolist())) == len(expected):
                        assert hits.rows.tolist() == expected.rows.tolist()
            assert (index.pieces is not None) == (anew.pieces is not None) == late
            for some in (index, opened):
                if some.pieces is not None and anew.pieces is not None and query.pieces is not None:
                    expected = anew.pieces.score(query.pieces, anew.store.rows())
                    found = some.pieces.score(query.pieces, some.store.rows())
                    np.testing.assert_allclose(found, expected, atol=1e-6)
            terms = term_hashes(text)
            np.testing.assert_array_equal(index.terms.idf(terms), anew.terms.idf(terms))
        living = [index.store.document(identifier) for identifier in index.store.document_ids()]
        smaller = Index.build(living, Path(folder) / "z", encoder=word_encoder)
        assert mentions(index) == mentions(opened) == mentions(smaller)
        rows = np.arange(len(index.graph))
        for group, degree in (("mentions", index.graph.out_degree), ("mentioned_by", index.graph.in_degree)):
            assert degree.tolist() == [len(index.graph.neighbours(row, group)) for row in rows.tolist()]
