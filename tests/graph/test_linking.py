import json
import random
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from trailhound.graph._edges import Edges, Relation
from trailhound.graph._linking import (
    frequency_cap,
    key_phrases,
    link_neighbours,
    link_titles,
    share_edges,
)
from trailhound.retrievers.words._terms import TermIndex
from trailhound.retrievers.words._titles import TitleMatcher

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "2wiki" / "corpus.jsonl"

TITLES = ["Ada North", "Blue River (1999 film)", "Carl, Duke of Elm", "Blue River (novel)", "Ada North", ""]
TEXTS = [
    "Ada North made Blue River and met Carl of Elm.",
    "Blue River (1999 film) is by Ada North. Ada North also acted in it.",
    "Carl, Duke of Elm, was no friend of Ada North.",
    "Nothing here.",
    "Ada North of Elm is someone else.",
    "A note on Carl, Duke of Elm, without a title.",
]


def links(
    titles: list[str], texts: list[str], documents: list[str] | None = None
) -> set[tuple[int, int, int, int, int]]:
    edges = link_titles(titles, texts, TitleMatcher(titles, documents), documents)
    found = list(
        zip(*(getattr(edges, n).tolist() for n in ("source", "target", "relation", "start", "end")), strict=True)
    )
    assert edges.source.tolist() == sorted(edges.source.tolist())
    assert len(set(found)) == len(found)
    return set(found)


def test_links_by_hand() -> None:
    title, alias = Relation.TITLE_MENTION, Relation.ALIAS_MENTION
    assert links(TITLES, TEXTS) == {
        (0, 1, title, 15, 25),
        (0, 3, title, 15, 25),
        (0, 2, alias, 34, 45),
        (1, 0, title, 29, 38),
        (1, 4, title, 29, 38),
        (2, 0, title, 36, 45),
        (2, 4, title, 36, 45),
        (5, 2, title, 10, 27),
    }


def test_parts_of_one_document_are_not_linked() -> None:
    found = links(["Ada North", "Blue River"], ["She made Blue River.", "It is by Ada North."], ["d", "d"])
    assert found == set()


def test_links_do_not_depend_on_the_order_of_the_passages() -> None:
    expected = links(TITLES, TEXTS)
    for seed in range(5):
        order = random.Random(seed).sample(range(len(TITLES)), len(TITLES))
        shuffled = links([TITLES[row] for row in order], [TEXTS[row] for row in order])
        assert {(order[s], order[t], r, b, e) for s, t, r, b, e in shuffled} == expected


def test_nothing_to_link_and_progress() -> None:
    told: list[tuple[str, int, int]] = []
    assert len(link_titles([], [], TitleMatcher([]))) == 0
    texts = ["Some words of Paris."] * 2500
    edges = link_titles([""] * 2500, texts, TitleMatcher([""] * 2500), progress=lambda *said: told.append(said))
    assert len(edges) == 0
    assert told == [("linking titles", done, 2500) for done in (1000, 2000, 2500)]


def test_neighbours_in_a_document_adjoin() -> None:
    edges = link_neighbours(["a", "a", "b", "a", "c"])
    assert list(zip(edges.source.tolist(), edges.target.tolist(), strict=True)) == [(0, 1), (1, 3)]
    assert set(edges.relation.tolist()) == {Relation.ADJACENT}
    assert len(link_neighbours([])) == 0


def test_four_thousand_passages_are_each_linked_to_the_one_they_name() -> None:
    count, generator = 4_000, random.Random(0)
    titles = [f"{generator.choice('ABCDEFGH')}name{number} Family{number % 977}" for number in range(count)]
    named = [generator.randrange(count) for _ in titles]
    texts = [f"some words with {titles[other]} and more" for other in named]
    edges = link_titles(titles, texts, TitleMatcher(titles))
    expected = [(row, other) for row, other in enumerate(named) if row != other]
    assert list(zip(edges.source.tolist(), edges.target.tolist(), strict=True)) == expected


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there")
def test_wikipedia_has_about_six_links_for_ten_passages() -> None:
    records = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    titles, texts = [record["title"] for record in records], [record["text"] for record in records]
    edges = link_titles(titles, texts, TitleMatcher(titles))
    assert 0.55 < len(edges) / len(titles) < 0.7
    assert (edges.relation == Relation.TITLE_MENTION).mean() > 0.7


def shares(texts: list[str]) -> Edges:
    return share_edges(texts, TermIndex.build(texts))


def crc(phrase: str) -> int:
    return zlib.crc32(phrase.encode())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("He met John Smith. Then he left.", "john smith"),
        ("He met John Smith, who left.", "john smith"),
        ("It was John Smith's dog.", "john smith"),
        ("In New York it rained.", "new york"),
        ("Dr. J.R.R. Tolkien wrote", "dr. j.r.r. tolkien"),
        ("the Bank of the West", "bank of the west"),
        ("the Élysée Palace", "élysée palace"),
        ("John F. Kennedy-Onassis left", "john f. kennedy-onassis"),
    ],
)
def test_names_of_several_words_are_key_phrases(text: str, name: str) -> None:
    assert crc(name) in key_phrases(text)


def test_pairs_of_neighbouring_terms_are_key_phrases() -> None:
    assert key_phrases("the running of cats, and dogs") == {crc("run cat"), crc("cat dog")}
    assert key_phrases("été The Cat") == {crc("ete cat")}
    assert key_phrases("") == key_phrases("… !?") == key_phrases("word") == set()


@pytest.mark.parametrize("text", ["ACGT", "A-", "A.", "Abc.A'", "A’b."])
def test_long_runs_of_capitals_cost_little(text: str) -> None:
    # In a megabyte a pattern that tries every end from every start would take hours.
    assert len(key_phrases(text * (1_000_000 // len(text)))) <= 10


@pytest.mark.parametrize(("passages", "cap"), [(0, 10), (5000, 10), (6000, 12), (25_000, 50), (10**6, 50)])
def test_the_cap_on_document_frequency(passages: int, cap: int) -> None:
    assert frequency_cap(passages) == cap


def test_shares_by_hand() -> None:
    # Terms alpha (in 2 of 4) and beta (in 3), and the pair "alpha beta" (in 2).
    edges = shares(["alpha beta", "alpha beta", "beta gamma", "delta"])
    two, three = np.log1p(2.5 / 2.5), np.log1p(1.5 / 3.5)
    found = {(s, t): w for s, t, w in zip(edges.source, edges.target, edges.weight, strict=True)}
    assert found == pytest.approx({(0, 1): 2 * two + three, (0, 2): three, (1, 2): three}, rel=1e-6)
    assert set(edges.relation.tolist()) == {Relation.SHARES}


@pytest.mark.parametrize(("copies", "linked"), [(1, False), (2, True), (10, True), (11, False)])
def test_only_rare_phrases_link(copies: int, linked: bool) -> None:
    assert bool(len(shares(["quark"] * copies + ["other"]))) is linked


def texts_of(count: int, seed: int, vocabulary: int = 400) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(f"w{generator.randrange(vocabulary)}q" for _ in range(12)) for _ in range(count)]


def by_brute_force(texts: list[str]) -> dict[tuple[int, int], float]:
    terms = TermIndex.build(texts)
    has = [
        {("term", int(t)) for t in terms.terms(row)} | {("phrase", p) for p in key_phrases(text)}
        for row, text in enumerate(texts)
    ]
    frequency = Counter(phrase for row in has for phrase in row)
    idf = {
        phrase: float(np.log1p((len(texts) - df + 0.5) / (df + 0.5)))
        for phrase, df in frequency.items()
        if 2 <= df <= frequency_cap(len(texts))
    }
    pairs = {}
    for row in range(len(texts)):
        weights = {
            other: sum(idf.get(p, 0.0) for p in has[row] & has[other]) for other in range(len(texts)) if other != row
        }
        order = sorted((other for other in weights if weights[other] > 0), key=lambda o: (-round(weights[o], 4), o))
        for other in order[:10]:
            pairs[min(row, other), max(row, other)] = weights[other]
    return pairs


@pytest.mark.parametrize("seed", range(3))
def test_shares_equal_comparing_every_pair(seed: int) -> None:
    texts = texts_of(120, seed)
    edges = shares(texts)
    found = dict(
        zip(zip(edges.source.tolist(), edges.target.tolist(), strict=True), edges.weight.tolist(), strict=True)
    )
    expected = by_brute_force(texts)
    # Where two candidates for the tenth place are equally strong, rounding decides.
    both = found.keys() & expected.keys()
    assert len(both) > 0.98 * max(len(found), len(expected))
    assert {pair: found[pair] for pair in both} == pytest.approx({pair: expected[pair] for pair in both}, rel=1e-5)


def test_each_pair_once_from_the_smaller_row() -> None:
    edges = shares(texts_of(300, 7))
    pairs = list(zip(edges.source.tolist(), edges.target.tolist(), strict=True))
    assert all(source < target for source, target in pairs)
    assert len(set(pairs)) == len(pairs)
    assert pairs == sorted(pairs)


def test_a_passage_asks_for_its_strongest_and_no_more() -> None:
    edges = shares(texts_of(500, 3))
    assert len(edges) <= 500 * 10


@pytest.mark.parametrize("texts", [[], [""], ["", ""], ["!", "alone here"]])
def test_texts_that_share_nothing(texts: list[str]) -> None:
    assert len(shares(texts)) == 0


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    texts = texts_of(4100, 0, 5000)
    share_edges(texts, TermIndex.build(texts), lambda *said: told.append(said))
    assert told[-2:] == [("linking shared phrases", 4096, 4100), ("linking shared phrases", 4100, 4100)]
    assert ("gathering phrases", 1000, 4100) in told


def test_a_corpus_of_several_blocks_is_linked_across_them() -> None:
    texts = texts_of(9000, 0, vocabulary=60_000)
    texts[5] = texts[8999] = "zebra quagga okapi"
    edges = shares(texts)
    assert (5, 8999) in set(zip(edges.source.tolist(), edges.target.tolist(), strict=True))


def test_headings_whose_words_are_common_words_attract_no_mentions() -> None:
    titles = ["Examples", "Prompt cache", "Rate limits", "Get started quickly", "Call the service", *[""] * 20]
    texts = [
        *["A heading stands above."] * 5,
        *["It has examples and rate limits of its own."] * 10,
        *["See the Examples and Rate limits of the Prompt cache."] * 4,
        *["The Prompt cache is fast."] * 6,
    ]
    edges = link_titles(titles, texts, TitleMatcher(titles))
    assert set(edges.target.tolist()) == {1}
    assert len(edges) == 10


def test_among_names_a_common_word_is_a_name() -> None:
    titles = ["Live", "Ada North", "Blue River", "Grey Hill", *[""] * 12]
    texts = [*["No one."] * 4, *["People live here."] * 10, *["They heard Live again.", "She made Live for him."]]
    assert links(titles, texts) == {(14, 0, Relation.TITLE_MENTION, 11, 15), (15, 0, Relation.TITLE_MENTION, 9, 13)}
