import json
import random
from pathlib import Path

import pytest
from trailhound.graph.edges import Relation
from trailhound.graph.linking import link_neighbours, link_titles
from trailhound.retrievers.words.titles import TitleMatcher

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


def test_twenty_thousand_passages_are_each_linked_to_the_one_they_name() -> None:
    count, generator = 20_000, random.Random(0)
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
