"""A sharded index ranks as one index of the same documents, and says which shards it could not reach."""

from pathlib import Path

import numpy as np
import pytest
from trailhound.agent.search_agent import SearchAgent
from trailhound.agent.search_result import SearchResult
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.errors import CorpusError, IndexFolderError, PolicyError, ShardError
from trailhound.index.index import Index
from trailhound.index.settings import IndexSettings
from trailhound.index.where import Where
from trailhound.measuring.evaluation import evaluate
from trailhound.retrievers._folder import MANIFEST
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.records import Document
from trailhound.sharding._building import ShardedBuild, shard_of
from trailhound.sharding._messages import Asked, View
from trailhound.sharding._shard import LocalShard, Shard, Waiting
from trailhound.sharding._shard_server import ShardServer
from trailhound.sharding.sharded_index import ShardedIndex

SHARDS = (1, 2, 4, 8)
SYSTEMS = ("lexical", "dense", "hybrid", "hops", "policy")
COLOURS = ["red", "green", "blue", "black", "white", "amber", "violet"]


def documents() -> list[Document]:
    """Long and short ones, one text that stands twice, and identifiers that few have."""
    generator = np.random.default_rng(5)
    made = []
    for number in range(120):
        words = generator.choice(COLOURS, int(generator.integers(4, 60)), p=[0.4, 0.2, 0.15, 0.1, 0.08, 0.05, 0.02])
        year = generator.integers(1900, 2000)
        text = f"Part number PX-{number // 3:04d} is {' '.join(words)}. It was painted in {year}."
        made.append(Document(f"d{number}", f"Colour card {number}", text))
    return [*made, Document("twin-a", "Twin", "violet amber twins"), Document("twin-b", "Twin", "violet amber twins")]


QUESTIONS = [
    "which card is violet and amber",
    "what is part PX-0007",
    "red red green",
    "painted in 1950 in black",
    "amber twins",
    "is the",
]


@pytest.fixture(scope="module")
def one_index(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Index:
    return Index.build(documents(), tmp_path_factory.mktemp("one") / "index", encoder=hashing_encoder)


@pytest.fixture(scope="module")
def sharded(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> dict[int, ShardedIndex]:
    place = tmp_path_factory.mktemp("sharded")
    return {n: ShardedIndex.build(documents(), place / f"{n}", n, encoder=hashing_encoder) for n in SHARDS}


@pytest.fixture(scope="module")
def linked(
    encyclopedia: Encyclopedia, hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> ShardedIndex:
    """The encyclopedia, whose articles mention each other, in three shards."""
    place = tmp_path_factory.mktemp("linked") / "index"
    return ShardedIndex.build(encyclopedia.documents, place, 3, encoder=hashing_encoder)


def found_by(index: Index | ShardedIndex, question: str, limit: int, system: str) -> SearchResult:
    return SearchAgent(index, system=system).search(question, limit)


def steps(result: SearchResult) -> list[tuple[str, str]]:
    return [(step.action, step.detail) for step in result.path]


def listed(result: SearchResult) -> list[str]:
    return [one.passage.id for one in result.evidence]


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_any_number_of_shards_ranks_as_one_index(
    sharded: dict[int, ShardedIndex], one_index: Index, system: str, shards: int
) -> None:
    for question in QUESTIONS:
        one, many = (found_by(index, question, 20, system) for index in (one_index, sharded[shards]))
        assert listed(many) == listed(one), question
        assert steps(many) == steps(one)
        for mine, its in zip(many.evidence, one.evidence, strict=True):
            scores = [[each.score, each.probability, each.bm25, each.cosine] for each in (mine, its)]
            np.testing.assert_allclose(*np.array(scores, np.float64), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("system", ["hops", "policy"])
def test_links_are_followed_from_one_shard_to_another(
    linked: ShardedIndex, small_index: Index, encyclopedia: Encyclopedia, system: str
) -> None:
    followed = 0
    one, many = (SearchAgent(each, system=system) for each in (small_index, linked))
    for question in encyclopedia.questions[:25]:
        results = [agent.search(question.text, 10) for agent in (one, many)]
        assert listed(results[1]) == listed(results[0]), question.text
        assert steps(results[1]) == steps(results[0])
        followed += sum("mention" in step.detail for step in results[1].path)
    assert followed


def test_every_edge_of_one_index_is_one_of_the_shards(linked: ShardedIndex, small_index: Index) -> None:
    with linked.snapshot():
        row = {}
        for shard in range(len(linked.shards)):
            with Index.open(linked.path / linked.about.shards[shard], verify=False) as opened:
                server = ShardServer(opened.path)
                rows = server._links.in_all(opened.parts, np.arange(len(opened)))
                row.update(zip((passage.id for passage in opened.store), rows.tolist(), strict=True))
                server.close()
        ids = {number: name for name, number in row.items()}
        for place, passage in enumerate(small_index.store):
            for group in ("mentions", "mentioned_by", "shares", "adjacent"):
                wanted = small_index.graph.neighbours(place, group)
                links = linked.graph.neighbours(row[passage.id], group)
                names = [ids[one] for one in links.rows.tolist()]
                assert names == [one.id for one in small_index.store.passages(wanted.rows.tolist())]
                np.testing.assert_array_equal(links.starts, wanted.starts)


def test_many_questions_are_searched_as_one_by_one(linked: ShardedIndex, encyclopedia: Encyclopedia) -> None:
    agent = SearchAgent(linked)
    questions = [question.text for question in encyclopedia.questions[:6]]
    assert [listed(one) for one in agent.search_many(questions)] == [listed(agent.search(one)) for one in questions]


@pytest.mark.parametrize("system", ["hybrid", "policy"])
def test_only_documents_that_fit_are_seen(
    linked: ShardedIndex, small_index: Index, encyclopedia: Encyclopedia, system: str
) -> None:
    some = Where(documents=[document.id for document in encyclopedia.documents[::2]])
    agents = [SearchAgent(each, system=system) for each in (small_index, linked)]
    for question in encyclopedia.questions[:10]:
        one, many = (agent.search(question.text, 10, where=some) for agent in agents)
        assert {each.passage.document_id for each in many.evidence} <= set(some.documents or ())
        if system == "hybrid":
            assert listed(many) == listed(one)


def test_a_document_is_read_from_whichever_shard_has_it(linked: ShardedIndex, encyclopedia: Encyclopedia) -> None:
    for document in encyclopedia.documents[:5]:
        assert linked.store.document(document.id).text == document.text
    with pytest.raises(KeyError):
        linked.store.document("nowhere")


def test_an_agent_opens_a_sharded_index_by_its_folder(linked: ShardedIndex, encyclopedia: Encyclopedia) -> None:
    with ShardedIndex(linked.path, linked.encoder) as opened:
        assert len(opened) == linked.about.passages
    with pytest.raises(PolicyError, match="is in shards"):
        SearchAgent(linked, system="ppr")


def test_every_document_is_in_the_shard_that_its_id_says(sharded: dict[int, ShardedIndex]) -> None:
    found = []
    for number, name in enumerate(sharded[4].about.shards):
        with Index.open(sharded[4].path / name, verify=False) as shard:
            ids = shard.store.document_ids()
            assert {shard_of(one, 4) for one in ids} == {number}
            found += ids
    assert sorted(found) == sorted(document.id for document in documents())
    assert sharded[4].about.documents == len(found)


def test_an_addition_to_a_shard_is_found_at_once_with_the_scores_of_one_index(
    hashing_encoder: Encoder, tmp_path: Path
) -> None:
    new = Document("new", "Ochre card", "ochre and violet, and nothing else")
    with (
        ShardedIndex.build(documents(), tmp_path / "s", 3, encoder=hashing_encoder) as index,
        Index.build([*documents(), new], tmp_path / "one", encoder=hashing_encoder) as one,
    ):
        before = found_by(index, "violet ochre", 5, "lexical")
        with Index.open(index.path / index.about.shards[shard_of("new", 3)], encoder=hashing_encoder) as shard:
            shard.add([new])
        for system in ("lexical", "hybrid"):
            after = found_by(index, "violet ochre", 5, system)
            assert listed(after) == listed(found_by(one, "violet ochre", 5, system))
        assert "new" not in [each.passage.document_id for each in before.evidence]
        assert after.evidence[0].passage.document_id == "new"


class LosableShard:
    """A shard in this process whose machine can be taken away, at once or after so many calls."""

    def __init__(self, folder: Path) -> None:
        self.name, self._shard, self.there, self.left = folder.name, LocalShard(folder), True, 1000

    def call(self, method: str, *given: object) -> Waiting[object]:
        self.left -= 1
        if self.there and self.left >= 0:
            return self._shard.call(method, *given)

        def lost() -> None:
            raise ShardError(f"{self.name} is away")

        return lost

    def close(self) -> None:
        self._shard.close()


@pytest.mark.parametrize("system", ["lexical", "hybrid", "policy"])
def test_a_lost_shard_is_named_and_the_others_answer(
    linked: ShardedIndex, hashing_encoder: Encoder, encyclopedia: Encyclopedia, system: str
) -> None:
    made: list[LosableShard] = []

    def opened(folder: Path) -> Shard:
        made.append(LosableShard(folder))
        return made[-1]

    question = encyclopedia.questions[0].text
    with ShardedIndex(linked.path, hashing_encoder, open_shard=opened) as index:
        agent = SearchAgent(index, system=system)
        whole = agent.search(question)
        for left in (0, 1, 2, 3):  # also in the middle of a search
            made[1].left = left
            result = agent.search(question)
            assert result.unreachable in (("shard-0001",), ())
            if not left:
                assert result.unreachable
            if result.unreachable:
                gone = {shard_of(one.passage.document_id, 3) for one in result.evidence}
                assert gone <= {0, 2}
        made[1].left = 1000
        again = agent.search(question)
        assert again.unreachable == ()
        assert listed(again) == listed(whole)
        for shard in made:
            shard.there = False
        with pytest.raises(ShardError, match="none of the shards"):
            agent.search(question)


def test_a_build_that_is_repeated_makes_only_what_is_missing_or_changed(
    hashing_encoder: Encoder, tmp_path: Path
) -> None:
    ShardedIndex.build(documents(), tmp_path / "s", 4, encoder=hashing_encoder).close()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").glob(f"shard-*/{MANIFEST}")}
    lost, *_ = kept
    lost.unlink()  # as if its build had been stopped
    changed = [document for document in documents() if document.id != "twin-a"]
    ShardedIndex.build(changed, tmp_path / "s", 4, encoder=hashing_encoder).close()
    same = {path for path, when in kept.items() if path.stat().st_mtime_ns == when}
    without = tmp_path / "s" / f"shard-{shard_of('twin-a', 4):04d}" / MANIFEST
    assert same == kept.keys() - {lost, without}


def test_fewer_shards_leave_none_of_the_old_ones(hashing_encoder: Encoder, tmp_path: Path) -> None:
    ShardedIndex.build(documents(), tmp_path / "s", 4, encoder=hashing_encoder).close()
    with ShardedIndex.build(documents(), tmp_path / "s", 2, encoder=hashing_encoder) as index:
        assert index.about.shards == ("shard-0000", "shard-0001")
        assert len(index) == len(documents())
    folders = {path.name for path in (tmp_path / "s").iterdir() if path.is_dir()}
    assert folders == {"shard-0000", "shard-0001"}


def test_what_depends_on_the_whole_corpus_is_refused(tmp_path: Path) -> None:
    for settings in (
        IndexSettings(drop_duplicates=True),
        IndexSettings(context="corpus"),
        IndexSettings(dimension=8),
        IndexSettings(mask=("email",)),
    ):
        with pytest.raises(IndexFolderError, match=r"depends on the whole corpus|nothing is masked"):
            ShardedBuild(tmp_path / "s", 2, settings, None, None)
    with pytest.raises(IndexFolderError, match="0 shards"):
        ShardedBuild(tmp_path / "s", 0, IndexSettings(), None, None)


def test_a_folder_that_is_something_else_is_left_alone(
    one_index: Index, hashing_encoder: Encoder, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for folder in (one_index.path, tmp_path / "mine"):
        before = sorted(path.name for path in folder.iterdir())
        with pytest.raises(IndexFolderError, match="no sharded index"):
            ShardedIndex.build(documents(), folder, 2, encoder=hashing_encoder)
        assert sorted(path.name for path in folder.iterdir()) == before
    with pytest.raises(CorpusError, match="no text"):
        ShardedIndex.build([Document("a", "A", " ")], tmp_path / "s", 2, encoder=hashing_encoder)


def test_passages_are_those_that_were_ranked_though_the_shard_has_changed_since(
    hashing_encoder: Encoder, tmp_path: Path
) -> None:
    ShardedIndex.build(documents(), tmp_path / "s", 1, encoder=hashing_encoder).close()
    folder = tmp_path / "s" / "shard-0000"
    server = ShardServer(folder)
    view = View(server.begin(View(), []).generation)
    rows = server.ask(view, Asked("red", hashing_encoder.encode(["red"])[0], 5, None))["dense"].rows
    before = server.passages(view, rows)
    with Index.open(folder, encoder=hashing_encoder) as index:
        for number in range(5):
            index.delete([before[0].document_id] if not number else [f"new-{number - 1}"])
            index.add([Document(f"new-{number}", "New", "a new red card")])
            server.begin(View(), [])
            if number == 0:
                assert server.passages(view, rows) == before
    with pytest.raises(ShardError, match="ask again"):
        server.passages(view, rows)
    server.close()


@pytest.mark.parametrize("system", ["hybrid", "policy"])
def test_an_evaluation_over_shards_is_that_of_one_index(
    linked: ShardedIndex, small_index: Index, corpus_folder: Path, system: str
) -> None:
    one, many = (evaluate(index, corpus_folder, "dev", system=system) for index in (small_index, linked))
    measured = {name: value for name, value in one.figures.items() if "latency" not in name}
    assert {name: many.figures[name] for name in measured} == pytest.approx(measured, abs=1e-4)
    assert many.run.keys() == one.run.keys()


def test_words_weigh_the_same_when_those_that_are_remembered_are_dropped(
    linked: ShardedIndex, small_index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trailhound.sharding._records._MOST_WORDS", 3)
    with linked.snapshot():
        for row in range(5):
            terms = np.concatenate([small_index.terms.terms(row), small_index.terms.terms(row + 1)])
            np.testing.assert_array_equal(linked.terms.idf(terms), small_index.terms.idf(terms))


class CountingShard:
    """A shard in this process that keeps the names of the methods it is asked."""

    def __init__(self, folder: Path, asked: list[str]) -> None:
        self.name, self._shard, self._asked = folder.name, LocalShard(folder), asked

    def call(self, method: str, *given: object) -> Waiting[object]:
        self._asked.append(method)
        return self._shard.call(method, *given)

    def close(self) -> None:
        self._shard.close()


def test_a_hybrid_search_asks_each_shard_three_times_at_most(
    linked: ShardedIndex, hashing_encoder: Encoder, encyclopedia: Encyclopedia
) -> None:
    asked: list[str] = []  # the index keeps no word pieces, for which it would be asked once more
    with ShardedIndex(linked.path, hashing_encoder, open_shard=lambda path: CountingShard(path, asked)) as index:
        agent = SearchAgent(index, system="hybrid")
        agent.search(encyclopedia.questions[0].text)  # the sample is asked for once
        for question in encyclopedia.questions[1:6]:
            asked.clear()
            agent.search(question.text)
            assert set(asked) <= {"begin", "ask", "records"}
            assert max(asked.count(method) for method in set(asked)) <= 3  # one call of each to each of three shards


def test_edges_are_there_though_a_passage_was_fetched_without_them(linked: ShardedIndex, small_index: Index) -> None:
    named = next(
        one.id for row, one in enumerate(small_index.store) if len(small_index.graph.neighbours(row, "mentions"))
    )
    with ShardedIndex(linked.path, linked.encoder) as index:
        for _ in range(2):  # the second time what is remembered of the first
            with index.snapshot():
                row = index.store.row_of(named)
                index.look_ahead(np.array([row]))
                assert index.store.passage(row).id == named
        with index.snapshot():
            index.look_ahead(np.array([row]))
            found = index.store.passages(index.graph.neighbours(row, "mentions").rows.tolist())
    wanted = small_index.graph.neighbours(small_index.store.row_of(named), "mentions").rows.tolist()
    assert [one.id for one in found] == [one.id for one in small_index.store.passages(wanted)]
