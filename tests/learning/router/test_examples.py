"""Training pairs: labelled ones as they are, made ones from what a passage says."""

import numpy as np
from trailhound.learning.router._examples import distinctive_sentence, labelled_pairs, made_pairs, question_forms
from trailhound.retrievers.compiling._sentences import sentence_spans
from trailhound.retrievers.records import Passage, Question
from trailhound.retrievers.words._terms import TermIndex

TEXTS = [
    ("Teutberga", "Teutberga was a queen of Lotharingia. She was there. The zymurgist Bosonid praised her abbey."),
    ("Oslo (city)", "Oslo is the capital of Norway."),
    ("", "Nothing here has a verb of being"),
    ("Empty", ""),
]
PASSAGES = [
    Passage(f"p{row}", f"p{row}", title, text, 0, len(text), sentence_spans(text))
    for row, (title, text) in enumerate(TEXTS)
]
TERMS = TermIndex.build([f"{title}\n{text}" for title, text in TEXTS])


def test_labelled_questions_keep_their_supporting_rows() -> None:
    questions = [Question("a", "Who?"), Question("b", "What?"), Question("c", "Where?")]
    pairs = labelled_pairs(questions, {"a": (1, 0), "b": ()})
    assert [(pair.query, pair.rows, pair.kind) for pair in pairs] == [("Who?", (1, 0), "labelled")]


def test_everything_that_can_be_made_is_made_once() -> None:
    pairs = made_pairs(PASSAGES, TERMS, np.random.default_rng(0))
    assert sorted((pair.rows[0], pair.kind, pair.query) for pair in pairs) == [
        (0, "lead", "Teutberga was a queen of Lotharingia."),
        (0, "question", "What was Teutberga?"),
        (0, "question", "Who or what was a queen of Lotharingia?"),
        (0, "sentence", "The zymurgist Bosonid praised her abbey."),
        (0, "title", "Teutberga"),
        (1, "lead", "Oslo is the capital of Norway."),
        (1, "question", "What is Oslo?"),
        (1, "question", "Who or what is the capital of Norway?"),
        (1, "title", "Oslo (city)"),
        (2, "lead", "Nothing here has a verb of being"),
        (3, "title", "Empty"),
    ]


def test_few_pairs_come_from_as_many_passages() -> None:
    pairs = made_pairs(PASSAGES, TERMS, np.random.default_rng(0), most=4)
    assert sorted(pair.rows[0] for pair in pairs) == [0, 1, 2, 3]


def test_pairs_follow_the_seed_and_the_kinds() -> None:
    first, second = (made_pairs(PASSAGES, TERMS, np.random.default_rng(4), 6) for _ in range(2))
    assert first == second
    titles = made_pairs(PASSAGES, TERMS, np.random.default_rng(4), kinds=("title",))
    assert {pair.kind for pair in titles} == {"title"}


def test_questions_of_a_first_sentence() -> None:
    assert question_forms("Sold (2014 film)", "Sold is a 2014 drama film.") == [
        "Who or what is a 2014 drama film?",
        "What is Sold?",
    ]
    assert question_forms("Run", "Run away!") == ["What is known about Run?"]
    assert question_forms("", "Run away!") == []


def test_the_distinctive_sentence_has_the_rarest_terms() -> None:
    assert distinctive_sentence(["Oslo was there.", "A zymurgist of Lotharingia."], TERMS) == 1
    assert distinctive_sentence(["of the", ""], TERMS) is None
