"""Each stage is made to happen, in a real environment that is searched by script, and is named."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from trailhound import Document, EnvironmentSettings, Index
from trailhound.envs._batch import SearchBatch
from trailhound.envs._question_view import QuestionView
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import QUESTION, SUB_INDEXES
from trailhound.graph._knowledge_graph import GROUPS
from trailhound.measuring._miss_stages import Finding, Operator, Searched, SearchTrace, attribute, operators_along
from trailhound.retrievers.protocols import Encoder

ARTICLES = {
    "The Silver Gate": "The Silver Gate is a film from 1990. It was directed by Ada Brun in the hills.",
    "Ada Brun": "Ada Brun is a director. She was born in the town of Torl.",
    "Torl": "Torl is a town by the sea with a harbour.",
    "Zorn": "Zorn sells marble, marble: walnut, cinnamon, paprika, saffron, nutmeg, vanilla.",
    "Quell": "The marble of Quell, fine and white and old.",
    "Spices": "Walnut, cinnamon, paprika, saffron, nutmeg and vanilla.",
    "More spices": "Walnut, cinnamon, paprika, saffron, nutmeg or vanilla.",
    "Hub": "A hub of roads lists Ada Brun, Torl, Quell, Spices, The Silver Gate and Zorn.",
}
ROWS = {title: row for row, title in enumerate(ARTICLES)}
NARROW = EnvironmentSettings(expand_size=1, pages=1, hop_size=3, max_candidates=20, max_evidence=5)

Action = Callable[[SearchBatch], int]
Search = Callable[..., Searched]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, hashing_encoder: Encoder) -> Index:
    """Articles that mention each other, and 120 notes whose words ('fish', 'price', 'marble') link nothing."""
    notes = {f"Note {k}": f"The price of fish number {k}, fish fish{' or marble' * (k < 20)}." for k in range(120)}
    documents = [
        Document(f"d{k}", title, text, atomic=True) for k, (title, text) in enumerate((ARTICLES | notes).items())
    ]
    return Index.build(documents, tmp_path_factory.mktemp("missed") / "a.index", encoder=hashing_encoder)


class Scripted(QuestionWorld):
    """A world of three sub-indexes, all there to be asked, in which nothing is asked but what a script asks."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.offers = tuple(name in ("lexical", "dense", "entity") for name in SUB_INDEXES)

    @property
    def begins_with(self) -> tuple[int, ...]:
        return ()


@pytest.fixture
def search(index: Index) -> Search:
    """Search by a script, then rank the evidence first and the rest of the frontier as it came."""

    def run(
        question: str, *actions: Action, settings: EnvironmentSettings = NARROW, outside: Sequence[int] = ()
    ) -> Searched:
        batch, trace = SearchBatch(settings, 1, len(QUESTION)), SearchTrace()
        batch.start([0], [Scripted(index, QuestionView.of(index, question), settings)])
        for choose in actions:
            action = choose(batch)
            assert batch.mask[0, action], f"{batch.layout.decode(action)} is not legal"
            trace(batch, 0, action)
            batch.act(0, action)
        state = batch.lane(0)
        order = [*state.evidence, *(slot for slot in range(state.count) if slot not in state.evidence)]
        ranking = tuple(state.world.rows[state.places[order]].tolist())
        return Searched(state.world, trace, ranking, ranking, frozenset(outside))

    return run


def expand(name: str) -> Action:
    return lambda batch: batch.layout.expand + SUB_INDEXES.index(name)


def hop(evidence: int, group: str) -> Action:
    return lambda batch: batch.layout.hop + evidence * len(GROUPS) + GROUPS.index(group)


def take(title: str) -> Action:
    def find(batch: SearchBatch) -> int:
        state = batch.lane(0)
        return batch.layout.take + state.world.rows[state.places[: state.count]].tolist().index(ROWS[title])

    return find


def stop(batch: SearchBatch) -> int:
    return 0


def kind_of(searched: Searched, title: str, *others: str) -> tuple[str, str]:
    """Return stage and cause of the supporting passage ``title``, when ``others`` are supporting too."""
    finding = attribute(searched, [ROWS[title], *(ROWS[other] for other in others)])[ROWS[title]]
    assert finding.happened
    return finding.stage, finding.cause


def test_what_is_among_the_first_five_is_no_miss(search: Search) -> None:
    searched = search("Who directed The Silver Gate?", expand("entity"), take("The Silver Gate"), stop)
    assert attribute(searched, [ROWS["The Silver Gate"]]) == {}


def test_outside_the_shards_is_routing(search: Search) -> None:
    searched = search("Who directed The Silver Gate?", expand("dense"), stop, outside=[ROWS["Torl"]])
    assert kind_of(searched, "Torl") == ("routing", "outside the shards")


def test_a_sub_index_that_was_never_asked_is_routing(search: Search) -> None:
    question = "a town by the sea with a harbour"
    assert kind_of(search(question, expand("entity"), stop), "Torl") == ("routing", "sub-index never asked")
    asked = search(question, expand("entity"), stop)
    assert attribute(asked, [ROWS["Torl"]])[ROWS["Torl"]].happened == (
        "to ask the lexical index brings it, at place 1, and that index was never asked"
    )


def test_beyond_the_pages_is_retrieval(search: Search) -> None:
    searched = search("the trade of Spices", expand("lexical"), expand("dense"), expand("entity"), stop)
    assert kind_of(searched, "More spices") == ("retrieval", "beyond the pages")
    finding = attribute(searched, [ROWS["More spices"]])[ROWS["More spices"]]
    assert finding.happened.endswith("its pages hold 1")


def test_beyond_the_hop_is_retrieval(search: Search) -> None:
    settings = replace(NARROW, hop_size=1)
    question = "the hub of roads, the hub"
    asked = [expand("lexical"), expand("dense"), take("Hub")]
    searched = search(question, expand("entity"), *asked, hop(0, "mentions"), stop, settings=settings)
    beyond = [title for title in ("Torl", "Quell", "Zorn") if ROWS[title] not in searched.ranking]
    kinds = {kind_of(searched, title) for title in beyond}
    assert kinds <= {("retrieval", "beyond the hop"), ("policy", "stopped early")}
    assert ("retrieval", "beyond the hop") in kinds


def test_out_of_reach_is_retrieval(search: Search) -> None:
    searched = search("the price of fish fish fish", expand("lexical"), expand("dense"), expand("entity"), stop)
    assert kind_of(searched, "Torl") == ("retrieval", "out of reach")


def test_a_hop_that_was_left_is_the_policy_stopping_early(search: Search) -> None:
    question = "Who directed The Silver Gate?"
    asked = [expand("entity"), expand("lexical"), expand("dense"), take("The Silver Gate")]
    assert kind_of(search(question, *asked, stop), "Ada Brun") == ("policy", "stopped early")
    finding = attribute(search(question, *asked, stop), [ROWS["Ada Brun"]])[ROWS["Ada Brun"]]
    assert "“The Silver Gate”" in finding.happened


def test_a_search_that_did_not_end_by_itself_did_not_ask(search: Search) -> None:
    """Its last action is a TAKE: the step limit ended it."""
    asked = [expand("entity"), expand("lexical"), expand("dense"), take("The Silver Gate")]
    assert kind_of(search("Who directed The Silver Gate?", *asked), "Ada Brun") == ("policy", "not asked")


def test_a_page_of_an_earlier_state_was_not_asked(search: Search) -> None:
    settings = replace(NARROW, pages=2)
    asked = [expand("lexical"), expand("dense"), expand("entity"), take("Zorn")]
    searched = search("marble marble", *asked, stop, settings=settings)
    assert ROWS["Quell"] not in searched.ranking
    assert kind_of(searched, "Quell") == ("policy", "not asked")
    happened = attribute(searched, [ROWS["Quell"]])[ROWS["Quell"]].happened
    assert happened == "to ask the lexical index, page 2 brings it, at place 1, and it was not asked"


def test_a_full_frontier_is_no_room(search: Search) -> None:
    settings = replace(NARROW, expand_size=3, max_candidates=2)
    searched = search("walnut cinnamon saffron marble", expand("lexical"), stop, settings=settings)
    pushed_out = next(title for title in ("Zorn", "Spices", "More spices") if ROWS[title] not in searched.ranking)
    assert kind_of(searched, pushed_out) == ("policy", "no room")


def test_others_taken_in_its_place(search: Search) -> None:
    settings = replace(NARROW, expand_size=8)
    others = ["Zorn", "Spices", "More spices", "Hub", "Torl"]
    searched = search(" ".join(ARTICLES.values()), expand("lexical"), *map(take, others), stop, settings=settings)
    assert ROWS["Ada Brun"] in searched.ranking
    assert kind_of(searched, "Ada Brun") == ("policy", "not taken")
    assert "“More spices”" in attribute(searched, [ROWS["Ada Brun"]])[ROWS["Ada Brun"]].happened


def test_ranked_low_among_what_was_not_taken(search: Search) -> None:
    searched = search(" ".join(ARTICLES.values()), expand("lexical"), stop, settings=replace(NARROW, expand_size=8))
    low = next(title for title, row in ROWS.items() if row in searched.ranking[5:])
    assert kind_of(searched, low) == ("policy", "ranked low")


def test_moved_out_by_the_re_ranker(search: Search) -> None:
    searched = search(" ".join(ARTICLES.values()), expand("lexical"), stop, settings=replace(NARROW, expand_size=8))
    first = searched.ranking[0]
    moved = replace(searched, final=(*searched.ranking[1:], first))
    assert attribute(moved, [first])[first] == Finding(
        "reranking", "moved out", f"the policy had it at rank 1, the re-ranker at rank {len(moved.final)}"
    )
    assert attribute(moved, [searched.ranking[5]]) == {}, "what the re-ranker brought in is no miss"


def test_what_only_a_missed_passage_leads_to_has_its_stage(search: Search) -> None:
    searched = search("price fish fish", expand("lexical"), expand("dense"), expand("entity"), stop, outside=[0])
    assert kind_of(searched, "The Silver Gate", "Ada Brun") == ("routing", "outside the shards")
    assert kind_of(searched, "Ada Brun", "The Silver Gate") == ("routing", "behind another miss")
    assert kind_of(searched, "Torl", "Ada Brun", "The Silver Gate") == ("routing", "behind another miss"), "two away"


def test_what_a_passage_in_view_leads_to_is_the_policy_not_taking_that(search: Search) -> None:
    settings = replace(NARROW, expand_size=1)
    searched = search("Silver Gate film", expand("lexical"), expand("dense"), expand("entity"), stop, settings=settings)
    assert ROWS["The Silver Gate"] in searched.ranking[:5]
    assert ROWS["Ada Brun"] not in searched.ranking
    kind = kind_of(searched, "Ada Brun", "The Silver Gate")
    assert kind == ("policy", "behind a passage not taken")


def test_two_that_lead_to_each_other_alone_are_out_of_reach(search: Search) -> None:
    searched = search("the price of fish fish", expand("lexical"), expand("dense"), expand("entity"), stop)
    assert {kind_of(searched, "Ada Brun", "Torl"), kind_of(searched, "Torl", "Ada Brun")} == {
        ("retrieval", "out of reach")
    }


def test_a_trace_knows_what_was_asked(search: Search) -> None:
    settings = replace(NARROW, pages=2)
    asked = [expand("dense"), expand("dense"), expand("entity"), take("Hub"), expand("lexical"), hop(0, "mentions")]
    trace = search("the hub of roads", *asked, stop, settings=settings).trace
    assert trace.asked == {
        Operator(0, "expand", SUB_INDEXES.index("dense"), 0),
        Operator(0, "expand", SUB_INDEXES.index("dense"), 1),
        Operator(0, "expand", SUB_INDEXES.index("entity"), 0),
        Operator(1, "expand", SUB_INDEXES.index("lexical"), 0),
        Operator(1, "hop", 0, GROUPS.index("mentions")),
    }
    assert trace.stopped
    assert trace.room


def test_a_search_that_asks_everything_has_asked_everything(index: Index) -> None:
    settings = replace(NARROW, pages=2, max_candidates=100, expand_everything=True)
    batch, trace = SearchBatch(settings, 1, len(QUESTION)), SearchTrace()
    batch.start([0], [QuestionWorld(index, QuestionView.of(index, "Torl and Zorn"), settings)])
    batch.act(0, batch.layout.take)
    trace(batch, 0, 0)
    legal = {
        operator
        for operator in operators_along(batch.lane(0).world, trace.path)
        if operator.kind == "expand" or len(operator.bring(batch.lane(0).world, trace.path))
    }
    assert trace.asked == legal


def test_what_nothing_along_the_path_brings_is_what_asking_everything_does_not_bring(
    worlds: list[QuestionWorld], settings: EnvironmentSettings, small_index: Index
) -> None:
    """The environment itself as the oracle: the same path, with everything asked after every step."""
    generator = np.random.default_rng(5)
    judged = set()
    for world in worlds[:25]:
        batch, trace = SearchBatch(settings, 1, len(QUESTION)), SearchTrace()
        batch.start([0], [world])
        for kind in ("ask", "take", "ask", "take", "stop"):
            first, last = {"ask": (1, 4), "take": (batch.layout.take, batch.layout.size), "stop": (0, 1)}[kind]
            action = first + int(generator.choice(np.flatnonzero(batch.mask[0, first:last])))
            trace(batch, 0, action)
            batch.act(0, action)
        state = batch.lane(0)
        seen = tuple(world.rows[state.places[: state.count]].tolist())
        wide = SearchBatch(
            replace(settings, max_candidates=150, max_steps=50, expand_everything=True), 1, len(QUESTION)
        )
        wide.start([0], [QuestionWorld(small_index, world.view, settings)])
        for row in state.taken_rows:
            view = wide.lane(0)
            shown = view.world.rows[view.places[: view.count]].tolist()
            wide.act(0, wide.layout.take + shown.index(row))
        view = wide.lane(0)
        reach = set(view.world.rows[view.places[: view.count]].tolist())
        searched = Searched(world, trace, seen, seen)
        for row in range(0, len(small_index), 3):
            if row not in seen:
                (finding,) = attribute(searched, [row]).values()
                assert (finding.stage == "retrieval") == (row not in reach)
                judged.add(finding.stage)
    assert judged == {"retrieval", "policy", "routing"}
