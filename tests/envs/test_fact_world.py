from pathlib import Path

import networkx
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from trailhound import EnvironmentSettings, Index
from trailhound.envs._batch import SearchBatch
from trailhound.envs._fact_world import KNOWN_ANSWER, FactWorld, fact_world
from trailhound.envs._question_set import QuestionSet
from trailhound.envs._search_env import SearchEnv
from trailhound.envs.settings import PAIR, STATIC
from trailhound.errors import EncoderError, QuestionsError, UpdateError
from trailhound.graph._knowledge_graph import GROUPS, Relation

FACTS = """anna\tmother_of\tbob
anna\tmother_of\tcarl
bob\tfather_of\tdora
carl\tfather_of\temil
anna\tgrandmother_of\tdora
anna\tgrandmother_of\temil
fritz\tfriend_of\tdora
"""
SETTINGS = EnvironmentSettings(expand_size=5, hop_size=20, hop_depth=2, max_candidates=20, max_evidence=2)
MENTIONS, MENTIONED_BY = GROUPS.index("mentions"), GROUPS.index("mentioned_by")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("family")
    (folder / "graph.txt").write_text(FACTS)
    (folder / "dev.txt").write_text("anna\tgrandmother_of\tdora\nfritz\tfriend_of\temil\n")
    return Index.build(folder, folder / "family.index")


@pytest.fixture(scope="module")
def folder(index: Index) -> Path:
    return index.path.parent


def names(index: Index, rows: np.ndarray) -> set[str]:
    return {index.store.passage(int(row)).title for row in rows}


def row(index: Index, name: str) -> int:
    assert index.facts is not None
    return index.facts.entity_rows[name]


def visible_graph(index: Index, world: FactWorld) -> networkx.Graph:
    """Return who can be reached from whom in one step, by networkx, without the fact that is asked for."""
    assert index.facts is not None
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(index)))
    for number, (head, tail) in enumerate(zip(index.facts.heads, index.facts.tails, strict=True)):
        if number != world.hidden:
            graph.add_edge(int(head), int(tail))
    return graph


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("anna grandmother_of", "dora"),
        ("fritz friend_of", "dora"),
        ("dora _friend_of", "fritz"),
        ("anna grandmother_of", None),
    ],
)
def test_a_hop_reaches_what_networkx_reaches(index: Index, depth: int, text: str, answer: str | None) -> None:
    world = fact_world(index, text, answer, EnvironmentSettings(hop_size=20, hop_depth=depth))
    distances = dict(networkx.all_pairs_shortest_path_length(visible_graph(index, world), cutoff=depth))
    for start in range(len(index)):
        out = {int(t) for s, k, t in zip(*world.visible_edges(), strict=True) if s == start and k < 4}
        back = {int(t) for s, k, t in zip(*world.visible_edges(), strict=True) if s == start and k >= 4}
        for group, first in ((MENTIONS, out), (MENTIONED_BY, back)):
            without = visible_graph(index, world)
            without.remove_node(start)  # a walk does not come back to where it set out
            expected = dict.fromkeys(first, 1)
            for middle in first:
                for place, steps in networkx.single_source_shortest_path_length(
                    without, middle, cutoff=depth - 1
                ).items():
                    expected[place] = min(expected.get(place, 99), steps + 1)
            reached = world.hop(start, group).tolist()
            assert set(reached) == set(expected)
            assert [expected[place] for place in reached] == sorted(expected.values()), "the nearest come first"
        assert set(world.hop(start, MENTIONS)) | set(world.hop(start, MENTIONED_BY)) == set(distances[start]) - {start}
        assert world.hop(start, GROUPS.index("shares")).tolist() == []


def test_the_asked_fact_is_hidden_from_hops_features_and_links(index: Index) -> None:
    asked = fact_world(index, "fritz friend_of", "dora", SETTINGS)
    open_ = fact_world(index, "fritz friend_of", None, SETTINGS)
    fritz, dora = row(index, "fritz"), row(index, "dora")
    assert (asked.hidden, open_.hidden) == (6, None)
    assert "dora" in names(index, open_.hop(fritz, MENTIONS))
    assert asked.hop(fritz, MENTIONS).tolist() == asked.hop(fritz, MENTIONED_BY).tolist() == []
    assert "fritz" not in names(index, asked.hop(dora, MENTIONED_BY))
    assert open_.pair(fritz)[dora, PAIR.index("mentioned")] == 1
    assert asked.pair(fritz)[dora].sum() == asked.pair(dora)[fritz].sum() == 0
    assert asked.links_among(asked.rows)[fritz, dora] == 0
    assert open_.links_among(open_.rows)[fritz, dora] & (1 << Relation.TITLE_MENTION)
    assert open_.links_among(open_.rows)[dora, fritz] == 0, "who states a fact links, who is named in it does not"
    assert asked.hop_degrees(fritz).tolist() == [0, 0, 0, 0]
    assert asked.hop_degrees(dora).tolist() == [0, 2, 0, 0]
    assert not np.allclose(asked.view.vector, open_.view.vector), "its vector is that of its fold"


def test_only_the_asked_fact_is_hidden_when_others_join_the_same_two(tmp_path: Path) -> None:
    (tmp_path / "graph.txt").write_text("a\tr\tb\na\ts\tb\nb\tr\tc\n")
    index = Index.build(tmp_path, tmp_path / "i")
    world = fact_world(index, "a r", "b", SETTINGS)
    assert world.hop_degrees(0).tolist() == [1, 0, 0, 0]
    assert world.pair(0)[1, PAIR.index("mentioned")] == 1


def test_known_answers_are_marked_and_cannot_be_taken(index: Index) -> None:
    world = fact_world(index, "anna grandmother_of", "dora", SETTINGS)
    anna, dora, emil = (row(index, name) for name in ("anna", "dora", "emil"))
    assert world.known.tolist() == [emil]
    assert np.flatnonzero(~world.may_take).tolist() == [emil]
    marked = np.argwhere(world.links_among(world.rows) & KNOWN_ANSWER)
    assert marked.tolist() == [[anna, emil]]
    assert world.links_among(world.rows)[anna, emil] & (1 << Relation.TITLE_MENTION)
    assert world.gold == {anna, dora}


def test_of_equally_near_entities_those_come_first_that_agree_with_the_question(index: Index) -> None:
    world = fact_world(index, "anna grandmother_of", None, EnvironmentSettings(hop_size=20, hop_depth=1))
    anna = row(index, "anna")
    reached = world.hop(anna, MENTIONS)
    closeness = index.dense.reconstruct(reached) @ world.view.vector
    assert len(reached) == 4
    assert closeness.tolist() == sorted(closeness.tolist(), reverse=True)
    assert world.static[reached, STATIC.index("dense")] == pytest.approx(closeness, abs=1e-6)


def test_degrees_tell_what_an_entity_states_from_what_is_stated_about_it(index: Index) -> None:
    static = fact_world(index, "anna grandmother_of", None, SETTINGS).static
    anna, dora = row(index, "anna"), row(index, "dora")
    out, inward = STATIC.index("out_degree"), STATIC.index("in_degree")
    assert static[[anna, dora], out] == pytest.approx([np.log1p(4) / 4, 0])
    assert static[[anna, dora], inward] == pytest.approx([0, np.log1p(3) / 4])


def test_an_episode_walks_from_the_head_to_the_answer(index: Index) -> None:
    world = fact_world(index, "anna grandmother_of", "dora", SETTINGS)
    batch = SearchBatch(SETTINGS, 1, index.encoder.dimension)
    batch.start([0], [world])
    layout, lane = batch.layout, batch.lane(0)
    batch.act(0, 3)  # entity
    assert world.rows[lane.places[: lane.count]].tolist() == [row(index, "anna")]
    assert batch.act(0, layout.take)[0] == pytest.approx(0.5 - SETTINGS.take_ms * SETTINGS.price_per_ms)
    batch.act(0, layout.hop + MENTIONS)
    seen = world.rows[lane.places[: lane.count]].tolist()
    assert set(seen) == {row(index, name) for name in ("anna", "bob", "carl", "dora", "emil")}
    slots = {name: seen.index(row(index, name)) for name in ("dora", "emil", "bob")}
    assert batch.mask[0, layout.take + slots["dora"]]
    assert batch.mask[0, layout.take + slots["bob"]]
    assert not batch.mask[0, layout.take + slots["emil"]]
    batch.act(0, layout.take + slots["dora"])
    assert lane.found_gold == 2
    assert np.flatnonzero(batch.mask[0]).tolist()[0] == 0
    assert not batch.mask[0, layout.take :].any()


def test_sub_indexes_answer_without_the_texts_that_state_the_asked_fact(index: Index) -> None:
    world = fact_world(index, "anna grandmother_of", "dora", SETTINGS)
    lexical, dense, entity = range(3)
    assert world.expand(lexical, (), 0).tolist() == []
    assert world.expand(entity, (), 0).tolist() == [row(index, "anna")]
    assert world.expand(entity, (), 1).tolist() == world.expand(entity, (0,), 0).tolist() == []
    closeness = index.dense.vectors @ world.view.vector
    best = np.argsort(-closeness, kind="stable")
    assert world.expand(dense, (), 0).tolist() == best[:5].tolist()
    assert world.expand(dense, (0,), 1).tolist() == best[5:10].tolist()


def test_question_sets_and_the_gymnasium_environment_take_triples(index: Index, folder: Path) -> None:
    questions = QuestionSet.load(index, folder, "dev", SETTINGS)
    assert [world.gold for world in map(questions.world, range(2))] == [
        {row(index, "anna"), row(index, "dora")},
        {row(index, "fritz"), row(index, "emil")},
    ]
    env = SearchEnv(index, folder, split="dev", settings=SETTINGS)
    check_env(env, skip_render_check=True)


def test_what_the_graph_does_not_have_is_refused(index: Index, small_index: Index) -> None:
    with pytest.raises(QuestionsError, match="zoe"):
        fact_world(index, "anna grandmother_of", "zoe", SETTINGS)
    with pytest.raises(QuestionsError, match="relations"):
        fact_world(index, "anna eats", None, SETTINGS)
    with pytest.raises(EncoderError, match=r"graph\.txt"):
        _ = small_index.fact_encoder


def test_the_index_of_a_knowledge_graph_takes_no_changes(index: Index) -> None:
    for change in (lambda: index.add([]), lambda: index.delete(["anna"]), index.compact):
        with pytest.raises(UpdateError, match="knowledge graph"):
            change()
