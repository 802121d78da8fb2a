"""Replicas of a shard: the quick one answers for the slow, the living for the lost, and all of the newest state."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from trailhound.errors import QuestionsError, ShardError
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.records import Document
from trailhound.sharding._messages import Asked, View
from trailhound.sharding._replicas import ReplicatedShard, _Alarms
from trailhound.sharding._shard import LocalShard
from trailhound.sharding.sharded_index import ShardedIndex


class Told:
    """A replica that answers what it is told to, when it is told to."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, Future[Any]]] = []

    def begin(self, method: str, *given: Any) -> Future[Any]:
        self.begun.append((method, Future()))
        return self.begun[-1][1]

    def answer(self, number: int, answer: object) -> None:
        future = self.begun[number][1]
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def close(self) -> None:
        """Nothing is held."""


Pair = tuple[ReplicatedShard, Told, Told]


@pytest.fixture
def pair() -> Iterator[Pair]:
    replicas = Told(), Told()
    shard = ReplicatedShard("shard-0000", replicas)
    yield shard, *replicas
    shard.close()


def quiet(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """Keep the alarms from going off by themselves; returns what they would call."""
    calls: list[Callable[[], None]] = []
    monkeypatch.setattr(_Alarms, "at", lambda self, when, call: calls.append(call))
    return calls


def test_the_replica_with_the_fewest_calls_is_asked(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch)
    shard, one, other = pair
    for _ in range(6):
        shard.call("ask")
    assert len(one.begun) == len(other.begun) == 3
    for number in range(3):
        one.answer(number, "a")
    for _ in range(3):
        shard.call("ask")
    assert (len(one.begun), len(other.begun)) == (6, 3)


def test_a_slow_replica_is_spared_and_tried_again_now_and_then(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch)
    shard, slow, quick = pair
    shard.ended("ask", 0, 1.0, lost=False)
    shard.ended("ask", 1, 0.01, lost=False)
    shard._busy = [0, 0]
    for number in range(64):
        shard.call("ask")
        if quick.begun and not quick.begun[-1][1].done():
            quick.answer(-1, number)
    assert 1 <= len(slow.begun) <= 4
    shard._busy = [0, 200]  # so many calls would take it longer than the slow one
    shard.call("ask")
    assert len(slow.begun) == 65 - len(quick.begun)


def test_few_calls_are_made_twice_where_all_are_slow(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    alarms = quiet(monkeypatch)
    shard, _, _ = pair
    for _ in range(200):
        shard.call("ask")
        alarms[-1]()
    assert shard.hedged <= 10 + 0.1 * 200


def test_a_slow_replica_is_hedged_and_the_first_answer_counts(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    alarms = quiet(monkeypatch)
    shard, one, other = pair
    waiting = shard.call("ask")
    slow, quick = (one, other) if one.begun else (other, one)
    assert not quick.begun
    alarms[0]()
    quick.answer(0, "quick")
    assert waiting() == "quick"
    slow.answer(0, "slow")
    assert waiting() == "quick"
    assert (shard.calls, shard.hedged) == (1, 1)
    shard.call("ask")
    for replica in (one, other):
        if not replica.begun[-1][1].done():
            replica.answer(-1, "in time")
    alarms[1]()
    assert shard.hedged == 1


def test_alarms_go_off_by_themselves(pair: Pair) -> None:
    shard, one, other = pair
    asked = threading.Event()
    for replica in (one, other):
        begin = replica.begin

        def begun(method: str, *given: Any, begin: Any = begin) -> Future[Any]:
            future: Future[Any] = begin(method, *given)
            if one.begun and other.begun:
                asked.set()
            return future

        replica.begin = begun  # type: ignore[method-assign]
    waiting = shard.call("ask")
    assert asked.wait(60)
    one.answer(0, "there")
    assert waiting() == "there"


def test_hedging_waits_as_long_as_most_answers_of_the_quick_replica_take(pair: Pair) -> None:
    shard, _, _ = pair
    assert shard.delay("ask") == 0.05
    for _ in range(100):
        shard.ended("ask", 0, 0.02, lost=False)
        shard.ended("ask", 1, 3.0, lost=False)
    assert shard.delay("ask") == 0.02
    assert shard.delay("passages") == 0.05
    for _ in range(200):
        shard.ended("ask", 0, 0.0001, lost=False)
    assert shard.delay("ask") == 0.005


def test_the_other_replica_answers_at_once_where_one_is_lost(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch)
    shard, one, other = pair
    waiting = shard.call("ask")
    lost, living = (one, other) if one.begun else (other, one)
    lost.answer(0, ShardError("its machine is gone"))
    living.answer(0, "there")
    assert waiting() == "there"
    for number in range(1, 4):  # it is not asked again at once, though it has nothing to do
        later = shard.call("ask")
        living.answer(number, number)
        assert later() == number
    assert len(lost.begun) == 1


def test_the_shard_is_lost_with_its_last_replica(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    alarms = quiet(monkeypatch)
    shard, one, other = pair
    waiting = shard.call("ask")
    alarms[0]()
    one.answer(0, ShardError("gone"))
    other.answer(0, ShardError("gone too"))
    with pytest.raises(ShardError, match="gone too"):
        waiting()


def test_an_error_of_the_question_is_no_reason_to_ask_another(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch)
    shard, one, other = pair
    waiting = shard.call("ask")
    asked = one if one.begun else other
    asked.answer(0, QuestionsError("empty"))
    with pytest.raises(QuestionsError):
        waiting()
    assert len(one.begun) + len(other.begun) == 1


def test_a_change_is_made_by_one_replica_and_never_twice(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    alarms = quiet(monkeypatch)
    shard, one, other = pair
    waiting = shard.call("change", [], [], True)
    assert alarms == []
    asked = one if one.begun else other
    asked.answer(0, ShardError("gone"))
    with pytest.raises(ShardError):
        waiting()
    assert len(one.begun) + len(other.begun) == 1


def test_replicas_answer_from_the_newest_state_and_from_the_one_that_was_asked(
    hashing_encoder: Encoder, tmp_path: Path
) -> None:
    some = [Document(f"d{number}", f"Card {number}", f"a red card, {number}") for number in range(4)]
    ShardedIndex.build(some, tmp_path / "s", 1, encoder=hashing_encoder).close()
    replicas = [LocalShard(tmp_path / "s" / "shard-0000", hashing_encoder) for _ in range(2)]
    shard = ReplicatedShard("shard-0000", replicas)
    question = Asked("ochre", hashing_encoder.encode(["ochre"])[0], 9, None)
    before = shard.call("begin", View(), [])().generation
    for number in range(6):
        shard.call("change", [Document(f"n{number}", "New", "an ochre card")], [], False)()
        first, second = (replica.begin("begin", View(), []).result().generation for replica in replicas)
        assert first == second > before
        found = [replica.begin("ask", View(first), question).result()["dense"].rows for replica in replicas]
        documents = [one.document_id for one in shard.call("passages", View(first), found[0])()]
        assert f"n{number}" in documents
        assert found[0].tolist() == found[1].tolist()
    shard.call("change", [Document("next", "New", "an ochre card")], [], False)()
    view = View(replicas[0].begin("begin", View(), []).result().generation)
    rows = replicas[0].begin("ask", view, question).result()["dense"].rows
    texts = replicas[0].begin("passages", view, rows).result()
    shard.call("change", [Document("last", "New", "an ochre card")], [], False)()
    replicas[1].begin("begin", View(), []).result()
    for _ in range(4):  # whichever replica is asked first, the one that still has that state answers
        assert shard.call("passages", view, rows)() == texts
    shard.close()


def test_replicas_without_ray_are_refused(hashing_encoder: Encoder, tmp_path: Path) -> None:
    ShardedIndex.build([Document("a", "A", "some text")], tmp_path / "s", 1, encoder=hashing_encoder).close()
    with pytest.raises(ShardError, match="actors of Ray"):
        ShardedIndex(tmp_path / "s", replicas=2)
