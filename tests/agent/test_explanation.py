"""Every kind of action is said in words, with the reason that the policy could see."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trailhound import Document, EnvironmentSettings, Index, IndexSettings
from trailhound.agent._explanation import explain
from trailhound.envs._batch import SearchBatch
from trailhound.envs._question_view import QuestionView
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import QUESTION, SUB_INDEXES
from trailhound.graph._knowledge_graph import GROUPS
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.questions._labelled import load_questions

SETTINGS = EnvironmentSettings(expand_size=4, pages=2, hop_size=4, max_candidates=20, max_evidence=3)

SMALL_CHUNKS = IndexSettings(chunk_tokens=12)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, hashing_encoder: Encoder) -> Index:
    """Articles that mention each other, and a note that nothing links to."""
    articles = {
        "The Silver Gate (film)": "The Silver Gate is a film from 1990. It was directed by Ada Brun in the hills.",
        "Ada Brun": "Ada Brun is a director. She was born in the town of Torl.",
        "Torl": "Torl is a town by the sea with a harbour.",
        "": "An unsigned note about harbours, tides and the price of fish in winter.",
    }
    documents = [Document(f"d{k}", title, text, atomic=True) for k, (title, text) in enumerate(articles.items())]
    return Index.build(documents, tmp_path_factory.mktemp("explained") / "a.index", encoder=hashing_encoder)


Start = Callable[..., SearchBatch]
Action = Callable[[SearchBatch], int]


@pytest.fixture
def start(index: Index) -> Start:
    def begin(question: str, settings: EnvironmentSettings = SETTINGS) -> SearchBatch:
        batch = SearchBatch(settings, 1, len(QUESTION))
        batch.start([0], [QuestionWorld(index, QuestionView.of(index, question), settings)])
        return batch

    return begin


def expand(name: str) -> Action:
    return lambda batch: batch.layout.expand + SUB_INDEXES.index(name)


def hop(evidence: int, group: str) -> Action:
    return lambda batch: batch.layout.hop + evidence * len(GROUPS) + GROUPS.index(group)


def take(title: str) -> Action:
    """Find the candidate of this title among those in view by then."""

    def find(batch: SearchBatch) -> int:
        state = batch.lane(0)
        passages = state.world.index.store.passages(state.world.rows[state.places[: state.count]].tolist())
        return batch.layout.take + [passage.title for passage in passages].index(title)

    return find


def stop(batch: SearchBatch) -> int:
    return 0


def why_after(index: Index, taken: int, row: int, group: str) -> str:
    """Return why ``row`` may be taken after ``taken``, which led to it."""
    batch = SearchBatch(SETTINGS, 1, len(QUESTION))
    batch.start([0], [QuestionWorld(index, QuestionView.of(index, "river barley winters boats snow"), SETTINGS)])
    do(batch, expand("dense"))
    state = batch.lane(0)
    slots = {int(state.world.rows[state.places[slot]]): slot for slot in range(state.count)}
    do(batch, lambda batch: batch.layout.take + slots[taken], hop(0, group))
    return explain(batch, 0, batch.layout.take + slots[row])[1]


def do(batch: SearchBatch, *actions: Action) -> None:
    for choose in actions:
        action = choose(batch)
        assert batch.mask[0, action], f"{batch.layout.decode(action)} is not legal"
        batch.act(0, action)


def words_for(batch: SearchBatch, action: Action) -> tuple[str, str]:
    return explain(batch, 0, action(batch))


def test_asking_with_feedback(start: Start) -> None:
    batch = start("a harbour town")
    assert words_for(batch, expand("feedback"))[0] == "ask again with what the first passages add"
    do(batch, expand("feedback"))
    assert words_for(batch, expand("feedback"))[0] == "ask again with what the first passages add, page 2"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lexical", "ask the lexical index, page 2"),
        ("dense", "ask the dense index, page 2"),
        ("entity", "ask the entity index"),
    ],
)
def test_asking_a_sub_index_after_what_every_search_begins_with(name: str, words: str, start: Start) -> None:
    batch = start("Where was the director of The Silver Gate born?")
    assert words_for(batch, expand(name)) == (words, "of 4 passages in view none is taken yet")


def test_asking_where_nothing_was_found(index: Index) -> None:
    batch = SearchBatch(SETTINGS, 1, len(QUESTION))
    world = QuestionWorld(index, QuestionView.of(index, "What is The Silver Gate?"), SETTINGS)
    world.offers = tuple(name == "entity" for name in SUB_INDEXES)
    batch.start([0], [world])
    assert words_for(batch, expand("entity"))[1] == "nothing is in view yet"
    assert words_for(batch, stop) == ("stop", "nothing came into view")


def test_asking_again_with_evidence(start: Start) -> None:
    batch = start("Where was the director of The Silver Gate born?")
    do(batch, expand("entity"), take("The Silver Gate (film)"))
    words, _ = words_for(batch, expand("dense"))
    assert words == "ask the dense index, given “The Silver Gate (film)”"


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("mentions", "follow what “Ada Brun” mentions"),
        ("mentioned_by", "follow what mentions “Ada Brun”"),
        ("shares", "follow the names and phrases that “Ada Brun” shares"),
        ("adjacent", "read on before and after “Ada Brun”"),
    ],
)
def test_following_the_graph(group: str, words: str, start: Start, index: Index) -> None:
    batch = start("Who is Ada Brun?")
    do(batch, expand("entity"), take("Ada Brun"))
    count = len(index.graph.neighbours(index.store.row_of("d1"), group).rows)
    leads = f"{count} passage" if count == 1 else f"{count} passages"
    assert words_for(batch, hop(0, group)) == (
        words,
        f"“Ada Brun” was taken, and leads to {leads} this way",
    )


def test_taking_what_the_question_names(start: Start) -> None:
    batch = start("Where was the director of The Silver Gate born?")
    do(batch, expand("entity"))
    words = words_for(batch, take("The Silver Gate (film)"))
    assert words == ("take “The Silver Gate (film)”", "the question names it")


def test_taking_what_the_question_names_by_another_name(tmp_path: Path, hashing_encoder: Encoder) -> None:
    article = Document("a", "Ada Maria Brun", "A director of the north.", atomic=True)
    index = Index.build([article], tmp_path / "alias.index", encoder=hashing_encoder)
    batch = SearchBatch(SETTINGS, 1, len(QUESTION))
    batch.start([0], [QuestionWorld(index, QuestionView.of(index, "Where was Ada Brun born?"), SETTINGS)])
    do(batch, expand("entity"))
    assert words_for(batch, take("Ada Maria Brun"))[1] == "the question names it by another name"


def test_taking_what_the_evidence_mentions(start: Start) -> None:
    batch = start("Where was the director of The Silver Gate born?")
    do(batch, expand("entity"), take("The Silver Gate (film)"), hop(0, "mentions"))
    assert words_for(batch, take("Ada Brun"))[1] == "“The Silver Gate (film)” mentions it"


def test_taking_what_mentions_the_evidence(start: Start) -> None:
    batch = start("Who comes from Torl?")
    do(batch, expand("entity"), take("Torl"), hop(0, "mentioned_by"))
    assert words_for(batch, take("Ada Brun"))[1] == "it mentions “Torl”"


def test_the_latest_evidence_that_mentions_it_is_named(start: Start) -> None:
    batch = start("Torl and The Silver Gate?")
    do(batch, expand("entity"), take("Torl"), take("The Silver Gate (film)"))
    do(batch, hop(1, "mentions"))
    assert words_for(batch, take("Ada Brun"))[1] == "“The Silver Gate (film)” mentions it"


def test_taking_what_only_a_sub_index_found(start: Start) -> None:
    batch = start("the price of fish in winter")
    what, why = words_for(batch, take(""))
    assert what == "take “An unsigned note about harbours, tides and the pri”"
    assert why.startswith("lexical rank 1, cosine 0.")
    assert why.endswith(" with the question")


def test_taking_the_next_chunk_and_what_shares_a_name(tmp_path: Path, hashing_encoder: Encoder) -> None:
    story = "The mill of Orvand Teslock stood by the river. It ground barley. " * 2
    other = Document("b", "", "Much later, Orvand Teslock sold boats on the coast.", atomic=True)
    documents = [Document("a", "", f"{story}\n\nWinters were long there, and snow lay deep. " * 2), other]
    index = Index.build(documents, tmp_path / "story.index", encoder=hashing_encoder, settings=SMALL_CHUNKS)
    found = set()
    for row in range(len(index)):
        for group in ("adjacent", "shares"):
            for neighbour in index.graph.neighbours(row, group).rows.tolist():
                found.add((group, why_after(index, row, neighbour, group)))
    assert any(group == "adjacent" and why.startswith("it stands beside “") for group, why in found)
    assert any(group == "shares" and why.startswith("it shares a name or phrase with “") for group, why in found)


def test_stopping(start: Start) -> None:
    batch = start("Where was the director of The Silver Gate born?", replace(SETTINGS, max_evidence=2))
    assert words_for(batch, stop) == ("stop", "none of 4 passages in view was worth taking")
    do(batch, expand("entity"), take("The Silver Gate (film)"))
    assert words_for(batch, stop)[1] == "1 passage taken; no further step promised more than its price"
    do(batch, hop(0, "mentions"), take("Ada Brun"))
    assert words_for(batch, stop)[1] == "2 passages taken, and there is no room for more"


def test_every_legal_action_of_a_long_search_has_words(start: Start) -> None:
    batch = start("Where was the director of The Silver Gate born, and who dug tin?")
    do(batch, expand("dense"))
    for _ in range(3):
        do(batch, lambda batch: int(batch.mask[0, batch.layout.take :].argmax()) + batch.layout.take)
        for action in batch.mask[0].nonzero()[0].tolist():
            what, why = explain(batch, 0, action)
            assert what
            assert why
            assert "{" not in what + why


def claim_holds(batch: SearchBatch, action: int) -> bool:
    """Hold the reason for an action against the graph, the titles and what was done: nothing else may be claimed."""
    kind, first, second = batch.layout.decode(action)
    why, state, world = explain(batch, 0, action)[1], batch.lane(0), batch.lane(0).world
    rows = world.rows[state.places[: state.count]].tolist()
    taken, graph = [rows[slot] for slot in state.evidence], world.index.graph
    titles = {row: world.index.store.passage(row).title or world.index.store.passage(row).text[:50] for row in rows}
    numbers = [int(number) for number in re.findall(r"(?<![\w“])(\d+) (?:passage|more in view)", why)]
    if kind == "hop":
        reached = len(graph.neighbours(taken[first], GROUPS[second]).rows)
        return why.startswith(f"“{titles[taken[first]]}” was taken") and f" leads to {reached} passage" in why
    if kind in {"stop", "expand"}:
        expected = [len(taken), len(rows) - len(taken)] if taken else [len(rows)] if rows else []
        full = "no room" not in why or len(taken) == batch.settings.max_evidence
        return full and numbers == (expected if kind == "expand" else expected[:1]) and ("nothing" in why) == (not rows)
    row = rows[first]
    named = [other for other in taken if f"“{titles[other]}”" in why]
    relations = {"mentions it": "mentions", "it mentions": "mentioned_by", "beside": "adjacent", "shares": "shares"}
    for words, group in relations.items():
        if words in why:
            return any(row in graph.neighbours(other, group).rows for other in named)
    mentions = {mention for found in world.index.titles.find_in_question(world.view.text) for mention in found.rows}
    if "the question names it" in why:
        return row in mentions
    rank, cosine = re.fullmatch(r".* rank (\d+), cosine (-?\d\.\d\d) with the question", why).groups()  # type: ignore[union-attr]
    near = float(world.index.dense.reconstruct(np.array([row]))[0] @ world.view.vector)
    return int(rank) >= 1 and abs(near - float(cosine)) < 0.006


@pytest.mark.parametrize("seed", range(12))
def test_every_reason_is_true_of_the_search_it_is_given_for(small_index: Index, corpus_folder: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    questions, _ = load_questions(corpus_folder, "dev")
    batch = SearchBatch(SETTINGS, 1, len(QUESTION))
    text = questions[int(generator.integers(len(questions)))].text
    batch.start([0], [QuestionWorld(small_index, QuestionView.of(small_index, text), SETTINGS)])
    for _ in range(12):
        legal = np.flatnonzero(batch.mask[0])
        for action in legal.tolist():
            assert claim_holds(batch, action), explain(batch, 0, action)
        if len(legal) == 1:
            break
        kinds = [legal[(legal > 0) & (legal < batch.layout.take)], legal[legal >= batch.layout.take]]
        there = [kind for kind in kinds if len(kind)]
        batch.act(0, int(generator.choice(there[int(generator.integers(len(there)))])))
