"""Questions made from a corpus: named starts, hidden rest, labels that the index has, one seed one set."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from trailhound import Document, EnvironmentSettings, Index, Question
from trailhound.envs._question_set import QuestionSet
from trailhound.errors import QuestionsError
from trailhound.learning.made_questions._making import ALONE, LEAST, PATHS, MadeQuestions, make_questions
from trailhound.retrievers._fusion import reciprocal_rank_fusion
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.words._title_forms import strip_parenthesis

SYLLABLES = ("ba", "do", "ki", "lu", "me", "no", "ra", "si", "ta", "vu")


def name(number: int, ending: str) -> str:
    first = SYLLABLES[number % 10] + SYLLABLES[number // 10 % 10] + ending
    return first.capitalize()


def films(count: int) -> list[Document]:
    """Films, their directors, and the directors' fathers; one of each to a number."""
    documents = []
    for k in range(count):
        film, director, father = f"{name(k, 'xo')} Rising", f"{name(k, 'n')} Quill", f"{name(k, 'ph')} Quill"
        year, born = 1950 + k, 1900 + k
        shot = f"{film} is a {year} Danish film directed by {director}. It was shot in Oslo."
        life = f"{director} (born {born} in Bergen) was a Danish director and the son of {father}."
        baker = f"{father} (1870 – {born + 30}) was a Danish baker. He lived in Turku."
        documents += [
            Document(f"f{k}", f"{film} (film)", shot, atomic=True),
            Document(f"d{k}", director, f"{life} He won {k + 2} prizes.", atomic=True),
            Document(f"v{k}", father, baker, atomic=True),
        ]
    return documents


def facts(count: int) -> list[Document]:
    """Sentences without titles, each sharing rare words with the next."""
    texts = []
    for k in range(count):
        one, other = (f"{name(n, 'th')} {name(n, 'lk')}" for n in (k, k + 1))
        texts.append(f"the {one} feeds on the {other} in {name(k, 'w')} season")
    return [Document(f"s{k}", "", text, atomic=True) for k, text in enumerate(texts)]


@pytest.fixture(scope="module")
def cinema(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Index:
    return Index.build(films(40), tmp_path_factory.mktemp("cinema") / "cinema.index", encoder=hashing_encoder)


@pytest.fixture(scope="module")
def made(cinema: Index) -> MadeQuestions:
    return make_questions(cinema, 150, np.random.default_rng(0))


def titles_of(index: Index, made: MadeQuestions, question: str) -> list[str]:
    return [index.store.passage(index.store.row_of(passage)).title for passage in made.qrels[question]]


def test_labels_are_passages_of_the_index_and_every_question_has_some(cinema: Index, made: MadeQuestions) -> None:
    assert len(made.questions) == 150
    assert set(made.qrels) == {question.id for question in made.questions}
    assert len({question.text.lower() for question in made.questions}) == 150
    known = QuestionSet(cinema, made.questions, made.qrels, EnvironmentSettings())
    assert all(1 <= len(item.gold) <= 4 for item in known.items)


def test_a_question_names_where_it_starts_and_nothing_else_of_its_path(cinema: Index, made: MadeQuestions) -> None:
    starts = {"comparison": 2, "pair": 2, "lookup": 0, "described": 0}
    following = [question for question in made.questions if str(question.type).replace(" ", "_") in PATHS]
    assert 0.6 * len(made.questions) < len(following) < len(made.questions), "some ask what one passage says"
    for question in following:
        named = [
            t for t in titles_of(cinema, made, question.id) if strip_parenthesis(t).lower() in question.text.lower()
        ]
        assert len(named) == starts.get(str(question.type), 1), question


def test_films_lead_to_their_directors_and_on_to_the_fathers(made: MadeQuestions) -> None:
    paths: dict[str, set[str]] = defaultdict(set)
    for question in made.questions:
        paths[str(question.type)].add("".join(passage[0] for passage in made.qrels[question.id]))
    assert paths["chain"] == {"fd", "dv"}
    assert paths["long chain"] == {"fdv"}
    assert paths["pair"] <= {"fdfd", "dvdv"}
    assert paths["kin"] <= {"dv"}
    assert all(len(set(path)) == 1 for path in paths["comparison"])


def test_relation_words_come_from_the_passages(cinema: Index, made: MadeQuestions) -> None:
    chains = [q for q in made.questions if q.type == "chain" and next(iter(made.qrels[q.id])).startswith("f")]
    assert sum("director" in q.text.lower() for q in chains) > 0.9 * len(chains)


def test_paths_follow_mentions(cinema: Index, made: MadeQuestions) -> None:
    for question in made.questions:
        rows = [cinema.store.row_of(passage) for passage in made.qrels[question.id]]
        if question.type in ("chain", "long chain", "described", "pair"):
            for source, target in ((rows[0], rows[1]), (rows[-2], rows[-1])):
                assert target in cinema.graph.neighbours(source, "mentions").rows


def test_one_seed_one_set_of_questions(cinema: Index, made: MadeQuestions) -> None:
    assert make_questions(cinema, 150, np.random.default_rng(0)) == made
    assert make_questions(cinema, 150, np.random.default_rng(1)) != made


def test_progress_says_how_far_it_is(cinema: Index) -> None:
    heard: list[tuple[str, int, int]] = []
    make_questions(cinema, 20, np.random.default_rng(0), lambda *said: heard.append(said))
    assert heard[-1] == ("making questions", 20, 20)


def test_people_write_in_many_ways(made: MadeQuestions) -> None:
    texts = [question.text for question in made.questions]
    assert sum(text.endswith("?") for text in texts) > len(texts) / 2
    assert any(text == text.lower() for text in texts)
    assert any(not text.endswith("?") for text in texts)
    assert len({text.split()[0] for text in texts}) > 8


def test_without_titles_shared_words_lead_on_and_are_not_named(hashing_encoder: Encoder, tmp_path: Path) -> None:
    index = Index.build(facts(60), tmp_path / "facts.index", encoder=hashing_encoder)
    made = make_questions(index, 60, np.random.default_rng(0))
    shapes = {question.type for question in made.questions}
    assert {"shared", "claim", "keywords"} <= shapes
    assert not shapes & set(PATHS)
    for question in made.questions:
        rows = [index.store.row_of(passage) for passage in made.qrels[question.id]]
        if question.type == "shared":
            assert len(rows) >= 2
            for one, other in pairwise(rows):
                assert other in index.graph.neighbours(one, "shares").rows
                common = set(index.store.passage(one).text.lower().split())
                common &= set(index.store.passage(other).text.lower().split())
                assert not common & set(question.text.lower().split())


GUIDE = """{verb} a {thing}

To {lower} a {thing}, open the {part} panel and press the {colour} button. The {part} panel is a window that holds the
{colour} controls. You can undo this within {number} minutes. Every {thing} needs a {part} before it works.

The setting `{part}_{colour}_limit` says how many are kept. It fails with ValueError: no {colour} {part} was given.

| part | 2018 | 2019 |
|---|---|---|
| {colour} {part} | {number} | 1{number} |
| {thing} | 2{number} | 3{number} |
"""
CODE = """def {part}_{colour}_{thing}(value, table):
    \"\"\"Count the {colour} {part} values of a {thing} table.\"\"\"
    return sum(value == other for other in table)
"""


def guides() -> list[Document]:
    """Product documentation and programs, no title of which is a name."""
    verbs, things = ("Deleting", "Adding", "Moving", "Copying"), ("pump", "valve", "rotor", "gauge", "meter", "lever")
    parts, colours = ("intake", "outlet", "filter", "sensor", "spring"), ("amber", "violet", "crimson", "teal", "ivory")
    documents = []
    for k in range(60):
        verb, thing, part, colour = verbs[k % 4], things[k % 6], parts[k % 5], colours[k // 12]
        lower = {"Deleting": "delete", "Adding": "add", "Moving": "move", "Copying": "copy"}[verb]
        words = {"verb": verb, "lower": lower, "thing": thing, "part": part, "colour": colour, "number": k + 3}
        documents.append(Document(f"g{k}", "Examples" if k % 3 else f"{verb} a {thing}", GUIDE.format(**words)))
        documents.append(Document(f"c{k}", "", CODE.format(**words), atomic=True))
    return documents


def test_documentation_has_questions_of_every_kind_and_most_need_one_passage(
    hashing_encoder: Encoder, tmp_path: Path
) -> None:
    index = Index.build(guides(), tmp_path / "guides.index", encoder=hashing_encoder)
    made = make_questions(index, 200, np.random.default_rng(0))
    kinds = Counter(question.type for question in made.questions)
    assert set(ALONE) - {"unnamed", "description", "definition"} <= set(kinds)
    assert max(kinds.values()) < len(made.questions) / 3, "no kind drowns the others"
    assert sum(len(passages) == 1 for passages in made.qrels.values()) > len(made.questions) / 2
    for question in made.questions:
        rows = [index.store.row_of(passage) for passage in made.qrels[question.id]]
        query = index.query(question.text)
        rankings = [index.lexical.search(query, 50), index.dense.search(query, 50)]
        found = reciprocal_rank_fusion(rankings, 50).rows[:20]
        assert set(rows) & set(found.tolist()), f"no search finds what {question} was made of"


def test_what_several_passages_say_in_the_same_words_is_not_asked(hashing_encoder: Encoder, tmp_path: Path) -> None:
    own = [f"The {name(k, 'th')} valve is opened by the {name(k + 7, 'lk')} lever in winter." for k in range(30)]
    same = ["The grey pump must be filled with clean water before the first run."] * 30
    documents = [Document(f"d{k}", "", text, atomic=True) for k, text in enumerate([*own, *same])]
    made = make_questions(
        Index.build(documents, tmp_path / "same.index", encoder=hashing_encoder), 60, np.random.default_rng(0)
    )
    single = [next(iter(passages)) for passages in made.qrels.values() if len(passages) == 1]
    assert single
    assert sum(int(passage[1:]) >= 30 for passage in single) <= 3, "only the first of the repeats can stand first"


def test_documents_of_several_passages(hashing_encoder: Encoder, tmp_path: Path) -> None:
    long = [
        Document(
            d.id, d.title, d.text + " " + " ".join(f"It says {word} again." for word in SYLLABLES) + "\n\n" + d.text
        )
        for d in films(30)
    ]
    index = Index.build(long, tmp_path / "long.index", encoder=hashing_encoder, settings=None)
    made = make_questions(index, 60, np.random.default_rng(0))
    assert len(made.questions) == 60
    QuestionSet(index, made.questions, made.qrels, EnvironmentSettings())


@pytest.mark.parametrize("documents", [films(1)[:2], [Document("a", "", "one"), Document("b", "", "two")]])
def test_too_small_a_corpus_says_what_to_do(
    documents: list[Document], hashing_encoder: Encoder, tmp_path: Path
) -> None:
    index = Index.build(documents, tmp_path / "tiny.index", encoder=hashing_encoder)
    with pytest.raises(QuestionsError, match=rf"only \d+ questions .* needs {LEAST}: add documents .* --questions"):
        make_questions(index, 200, np.random.default_rng(0))


@pytest.mark.parametrize(("held_out", "aside"), [(0.25, 5), (0.001, 1)])
def test_what_is_written_can_be_read_in_two_splits(held_out: float, aside: int, tmp_path: Path) -> None:
    questions = [Question(f"made-{k}", f"Où est “{k}”?", None, "chain") for k in range(20)]
    made = MadeQuestions(questions, {q.id: {f"p{q.id}": 1, "p": 1} for q in questions})
    folder = tmp_path / "run" / "questions"
    made.write(folder, held_out, np.random.default_rng(0))
    parts = [load_questions(folder, split) for split in ("train", "validation")]
    assert [len(part[0]) for part in parts] == [20 - aside, aside]
    together = sorted([*parts[0][0], *parts[1][0]], key=questions.index)
    assert together == questions
    assert parts[0][1] | parts[1][1] == made.qrels
