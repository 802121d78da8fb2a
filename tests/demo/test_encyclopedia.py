import hashlib
import math
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from trailhound.demo import _encyclopedia_world as encyclopedia_world
from trailhound.demo._encyclopedia import Encyclopedia, generate, write_beir
from trailhound.demo._encyclopedia_world import Entity, build_world
from trailhound.errors import CorpusError, QuestionsError
from trailhound.retrievers.corpus._loading import CorpusReader
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.records import Document, Question
from trailhound.retrievers.words._titles import TitleMatcher

ARTICLES, QUESTIONS, SEED = 700, 350, 3

# What the questions say, read by the test's own grammar: relation -> the words around its subject.
PHRASES = {
    "director": ["the director of (.+)", "the person who directed (.+)"],
    "composer": ["the composer of the music for (.+)", "the person who scored (.+)"],
    "studio": ["the studio that made (.+)", "the company that produced (.+)"],
    "source": ["the novel that (.+) is based on", "the book behind (.+)"],
    "author": ["the author of (.+)", "the person who wrote (.+)"],
    "publisher": ["the publisher of (.+)", "the company that published (.+)"],
    "performer": ["the performer of (.+)", "the person who sang (.+)"],
    "writer": ["the songwriter of (.+)"],
    "label": ["the record label of (.+)", "the label that released (.+)"],
    "founder": ["the founder of (.+)", "the person who founded (.+)"],
    "seat": ["the town that is the seat of (.+)"],
    "father": ["the father of (.+)"],
    "mother": ["the mother of (.+)"],
    "spouse": ["the spouse of (.+)"],
    "birthplace": ["the birthplace of (.+)", "the town where (.+) was born"],
    "deathplace": ["the town where (.+) died"],
    "school": ["the school attended by (.+)", "the school of (.+)"],
    "teacher": ["the teacher of (.+)"],
    "region": ["the region of (.+)"],
    "country": ["the country of (.+)"],
    "centre": ["the administrative centre of (.+)"],
    "capital": ["the capital of (.+)"],
}
ENDINGS = {
    "author": ["Who wrote (.+)", "Who is the author of (.+)"],
    "publisher": ["Which company published (.+)"],
    "founder": ["Who founded (.+)", "Who is the founder of (.+)"],
    "seat": ["In which town is (.+) based"],
    "father": ["Who is the father of (.+)"],
    "mother": ["Who is the mother of (.+)"],
    "spouse": ["Who is the spouse of (.+)", "To whom was (.+) married"],
    "birthplace": ["Where was (.+) born", "What is the birthplace of (.+)"],
    "deathplace": ["Where did (.+) die"],
    "school": ["Where was (.+) educated", "Which school did (.+) attend"],
    "teacher": ["Who taught (.+)", "Who is the teacher of (.+)"],
    "region": ["In which region is (.+)"],
    "country": ["In which country is (.+)"],
    "centre": ["What is the administrative centre of (.+)"],
    "capital": ["What is the capital of (.+)"],
    "born": ["When was (.+) born", "What is the date of birth of (.+)"],
    "died": ["When did (.+) die", "What is the date of death of (.+)"],
    "published": ["In which year was (.+) published"],
    "founded": ["In which year was (.+) founded"],
    "river": ["Which river flows through (.+)"],
    "peak": ["What is the highest point of (.+)"],
    "currency": ["What is the currency of (.+)"],
}
KINSHIP = {
    "paternal grandfather": ["father", "father"],
    "paternal grandmother": ["father", "mother"],
    "maternal grandfather": ["mother", "father"],
    "maternal grandmother": ["mother", "mother"],
    "father-in-law": ["spouse", "father"],
    "mother-in-law": ["spouse", "mother"],
    "great-grandfather in the male line": ["father", "father", "father"],
    "great-grandmother in the female line": ["mother", "mother", "mother"],
}


@cache
def encyclopedia() -> Encyclopedia:
    return generate(ARTICLES, QUESTIONS, SEED)


@cache
def world() -> dict[str, Entity]:
    return {entity.title: entity for entity in build_world(ARTICLES, Random(SEED))}


def labels(of: Encyclopedia) -> dict[str, list[Document]]:
    """The labelled articles of every question, in the order of the labels."""
    documents = {document.id: document for document in of.documents}
    return {
        question: [documents[passage] for passage in passages]
        for qrels in of.splits.values()
        for question, passages in qrels.items()
    }


def of_type(*types: str) -> list[Question]:
    found = [question for question in encyclopedia().questions if question.type in types]
    assert found
    return found


def names(title: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(title)}(?!\w)", text) is not None


def read_chain(phrase: str) -> list[Entity]:
    """The entities on the way from the named one to the one that ``phrase`` means."""
    for relation, patterns in PHRASES.items():
        for pattern in patterns:
            match = re.fullmatch(pattern, phrase)
            if match:
                chain = read_chain(match[1])
                return [*chain, chain[-1].links[relation]]
    return [world()[re.sub("^the (film|novel|song) ", "", phrase)]]


def readings(text: str) -> list[tuple[list[Entity], str]]:
    """Every way to understand a compositional question: the path, and what the last article is asked for."""
    found = []
    for asked, patterns in ENDINGS.items():
        for match in filter(None, (re.fullmatch(pattern + r"\?", text) for pattern in patterns)):
            try:
                chain = read_chain(match[1])
            except KeyError:
                continue
            if asked in chain[-1].links or asked in chain[-1].facts:
                found.append((chain, asked))
    return found


def answer_of(entity: Entity, asked: str) -> str:
    return entity.links[asked].title if asked in entity.links else entity.facts[asked]


def test_compositional_answers_and_labels_follow_from_the_world() -> None:
    hops = Counter[int]()
    for question in of_type("compositional"):
        read = readings(question.text)
        assert {answer_of(chain[-1], asked) for chain, asked in read} == {question.answer}, question.text
        paths = [[entity.title for entity in chain] for chain, _ in read]
        assert [document.title for document in labels(encyclopedia())[question.id]] in paths
        hops[len(paths[0])] += 1
    assert set(hops) == {2, 3, 4}


def test_inferences_follow_from_the_world() -> None:
    for question in of_type("inference"):
        match = re.fullmatch(r"Who is the (.+?) of (.+)\?", question.text)
        assert match
        path = [world()[match[2]]]
        for relation in KINSHIP[match[1]]:
            path.append(path[-1].links[relation])
        titles = [document.title for document in labels(encyclopedia())[question.id]]
        assert [*titles, question.answer] == [entity.title for entity in path]


def test_comparisons_follow_from_the_dates_in_the_articles() -> None:
    for question in of_type("comparison", "bridge_comparison"):
        documents = labels(encyclopedia())[question.id]
        first, second = documents[0], documents[1]
        assert question.text.endswith(f", {first.title} or {second.title}?")
        compared = documents[2:] if question.type == "bridge_comparison" else documents
        years = [int(re.findall(r"\b\d{4}\b", document.text)[0]) for document in compared]
        latest = first if years[0] > years[1] else second
        earliest = second if years[0] > years[1] else first
        assert years[0] != years[1]
        assert question.answer == (latest if " later, " in question.text else earliest).title
        if question.type == "bridge_comparison":
            relation = re.findall(r"has the (\w+) who", question.text)[0]
            makers = [world()[document.title].links[relation].title for document in (first, second)]
            assert makers == [document.title for document in compared]


def test_every_bridge_is_named_by_title_in_the_article_before_it() -> None:
    documents = encyclopedia().documents
    matcher = TitleMatcher([document.title for document in documents])

    def named_in(document: Document) -> set[str]:
        return {documents[row].id for mention in matcher.find(document.text) for row in mention.rows}

    for question in encyclopedia().questions:
        path = labels(encyclopedia())[question.id]
        assert names(path[0].title, question.text)
        if question.type in ("compositional", "inference"):
            hops = list(pairwise(path))
            assert names(question.answer or "", path[-1].text)
            assert not any(names(document.title, question.text) for document in path[1:])
        else:
            hops = [(path[0], path[2]), (path[1], path[3])] if len(path) == 4 else []
            assert names(path[1].title, question.text)
        for before, after in hops:
            assert after.id in named_in(before), question.text


def test_no_other_article_tells_what_a_labelled_one_does() -> None:
    sentences = [
        (document.id, sentence)
        for document in encyclopedia().documents
        for sentence in re.split(r"(?<=\.) ", document.text)
    ]
    for question in of_type("compositional", "inference"):
        path = labels(encyclopedia())[question.id]
        told = [document.title for document in path] + [question.answer or ""]
        for document, thing in zip(path, told[1:], strict=True):
            for place, sentence in sentences:
                if place != document.id and document.title in sentence and names(thing, sentence):
                    # a child's article names both parents, and does not say that they were married
                    assert "father" in sentence or "parents" in sentence or " was the " in sentence
                    assert world()[document.title].links["spouse"].title == thing


def test_splits_share_no_question_and_no_named_entity() -> None:
    made = encyclopedia()
    assert list(made.splits) == ["train", "validation", "dev"]
    assert [len(qrels) for qrels in made.splits.values()] == [210, 52, 88]
    assert [question.id for question in made.questions] == [i for qrels in made.splits.values() for i in qrels]
    assert len({question.text for question in made.questions}) == QUESTIONS
    kinds = {question.id: question.type for question in made.questions}
    named: dict[str, str] = {}
    for split, qrels in made.splits.items():
        for identifier in qrels:
            path = labels(made)[identifier]
            for document in path[:2] if "comparison" in str(kinds[identifier]) else path[:1]:
                assert named.setdefault(document.id, split) == split


def test_every_type_is_asked_about_as_often_as_promised() -> None:
    counts = Counter(question.type for question in generate(1200, 600).questions)
    shares = {"compositional": 0.5, "inference": 0.15, "comparison": 0.15, "bridge_comparison": 0.2}
    assert {str(kind): count / 600 for kind, count in counts.items()} == pytest.approx(shares, abs=0.02)


def digest(of: Encyclopedia) -> str:
    return hashlib.sha256(repr((of.documents, of.questions, of.splits)).encode()).hexdigest()


def test_every_process_makes_the_same_encyclopedia_and_every_seed_another() -> None:
    code = (
        "import hashlib; from trailhound.demo._encyclopedia import generate; made = generate(200, 60, 7);"
        "print(hashlib.sha256(repr((made.documents, made.questions, made.splits)).encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {digest(generate(200, 60, 7))}
    assert digest(generate(200, 60, 8)) not in found


@pytest.mark.parametrize("articles", [60, 61, 97, 150, 1000, 5_000])
def test_any_size_has_that_many_articles_with_titles_of_their_own(articles: int) -> None:
    made = generate(articles, articles // 4, seed=articles)
    assert len(made.documents) == len({document.title for document in made.documents}) == articles
    assert len({document.id for document in made.documents}) == articles
    assert len(made.questions) == articles // 4
    assert all(document.atomic and len(document.text.split()) >= 12 for document in made.documents)
    assert all(2 <= len(passages) <= 4 for qrels in made.splits.values() for passages in qrels.values())


@pytest.mark.parametrize("seed", range(5))
def test_half_as_many_questions_as_articles_can_be_had_of_the_smallest(seed: int) -> None:
    assert len(generate(60, 30, seed).questions) == 30


def test_names_are_ambiguous() -> None:
    titles = [document.title for document in encyclopedia().documents]
    assert sum(title.endswith(")") for title in titles) > 0.05 * ARTICLES
    assert any(re.search(r" [A-Z]\. ", title) for title in titles)
    surnames = Counter(entity.name.split()[-1] for entity in world().values() if entity.kind == "person")
    assert sum(surnames.values()) / len(surnames) > 4
    shared = Counter(re.sub(r" \(.+\)$", "", title) for title in titles)
    assert any({f"{name} (film)", f"{name} (novel)"} <= set(titles) for name in shared)


def test_words_alone_find_about_half_of_the_labels() -> None:
    """BM25 (Robertson et al. 1995, k1 1.2, b 0.75) over title and text, by brute force."""
    documents = encyclopedia().documents
    words = [Counter(re.findall(r"\w+", f"{item.title} {item.text}".lower())) for item in documents]
    postings: dict[str, list[int]] = {}
    for row, counts in enumerate(words):
        for word in counts:
            postings.setdefault(word, []).append(row)
    lengths = [sum(counts.values()) for counts in words]
    average = sum(lengths) / len(lengths)
    recalls = []
    for question in encyclopedia().questions:
        scores = Counter[int]()
        for word in re.findall(r"\w+", question.text.lower()):
            rows = postings.get(word, [])
            idf = math.log1p((len(words) - len(rows) + 0.5) / (len(rows) + 0.5))
            for row in rows:
                count = words[row][word]
                scores[row] += idf * 2.2 * count / (count + 1.2 * (0.25 + 0.75 * lengths[row] / average))
        top = {documents[row].id for row, _ in scores.most_common(5)}
        path = labels(encyclopedia())[question.id]
        recalls.append(sum(document.id in top for document in path) / len(path))
    assert 0.45 <= sum(recalls) / len(recalls) <= 0.65


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    made = generate(80, 20, seed=1)
    folder = tmp_path / "new" / "beir"
    write_beir(generate(60, 10, seed=2), folder)
    write_beir(made, folder)
    warnings: list[str] = []
    read = list(CorpusReader([folder], warnings.append))
    assert [(item.id, item.title, item.text) for item in read] == [
        (item.id, item.title, item.text) for item in made.documents
    ]
    assert warnings == []
    loaded = [load_questions(folder, split) for split in made.splits]
    assert [question for questions, _ in loaded for question in questions] == made.questions
    assert [qrels for _, qrels in loaded] == list(made.splits.values())


def test_files_look_as_beir_writes_them(tmp_path: Path) -> None:
    made = generate(60, 20, seed=0)
    write_beir(made, tmp_path)
    question, document = made.questions[0], made.documents[0]
    assert (
        (tmp_path / "queries.jsonl")
        .read_text("utf-8")
        .startswith(
            f'{{"_id": "q00000", "text": "{question.text}", '
            f'"metadata": {{"answer": "{question.answer}", "type": "{question.type}"}}}}\n'
        )
    )
    assert (
        (tmp_path / "corpus.jsonl")
        .read_text("utf-8")
        .startswith(f'{{"_id": "p00000", "title": "{document.title}", "text": "{document.text}"}}\n')
    )
    lines = (tmp_path / "qrels" / "train.tsv").read_text("utf-8").splitlines()
    assert lines[0] == "query-id\tcorpus-id\tscore"
    assert lines[1] == f"q00000\t{next(iter(made.splits['train']['q00000']))}\t1"


def test_too_few_articles_are_refused() -> None:
    with pytest.raises(CorpusError, match=r"at least 60 articles.*not 59"):
        generate(59)


def test_more_questions_than_there_can_be_are_refused() -> None:
    with pytest.raises(QuestionsError, match=r"only \d+ of 3000 questions.*fewer questions or more articles"):
        generate(60, 5000)


def test_titles_do_not_give_away_what_is_asked() -> None:
    assert not [document.title for document in encyclopedia().documents if re.search(r"\d", document.title)]


def test_names_grow_longer_when_the_short_ones_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"onsets": ["b", "k"], "vowels": ["a", "o"], "codas": ["n", "r"]}
    tables = encyclopedia_world.words()
    monkeypatch.setattr(encyclopedia_world, "words", lambda: tables | {"names": tables["names"] | few})
    maker = encyclopedia_world.NameMaker(Random(0), people=10, works=10)
    stems = [maker.stem() for _ in range(200)]  # of one syllable there are 8, of two 32
    assert len(set(stems)) == 200
    assert {len(stem) for stem in stems} >= {3, 5, 7}
