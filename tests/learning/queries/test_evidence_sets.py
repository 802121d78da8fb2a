"""Sets of passages that could be the evidence, from the answer alone."""

from __future__ import annotations

import pytest
from trailhound.agent.reader._protocol import normalise_answer
from trailhound.envs._world import QuestionWorld
from trailhound.learning.queries._evidence_sets import MOST_SETS, EvidenceSet, evidence_sets


@pytest.fixture(scope="module")
def sets(worlds: list[QuestionWorld]) -> list[list[EvidenceSet]]:
    return [evidence_sets(world) for world in worlds]


def unlabelled(world: QuestionWorld, answer: str | None) -> QuestionWorld:
    return QuestionWorld(world.index, world.view, world.settings, answer=answer)


def test_labels_are_not_looked_at(worlds: list[QuestionWorld], sets: list[list[EvidenceSet]]) -> None:
    assert [evidence_sets(unlabelled(world, world.answer)) for world in worlds] == sets


def test_the_labelled_evidence_is_often_among_the_sets(
    worlds: list[QuestionWorld], sets: list[list[EvidenceSet]]
) -> None:
    """Of two or four passages, as the sets are made for; longer chains of this encyclopedia are out of their reach."""
    short = [k for k, world in enumerate(worlds) if len(world.gold) == 2]
    hits = [any(frozenset(s.rows) == worlds[k].gold for s in sets[k]) for k in short]
    assert len(short) > 8
    assert sum(hits) / len(hits) > 0.6


def test_the_answer_of_a_span_is_in_every_set(worlds: list[QuestionWorld], sets: list[list[EvidenceSet]]) -> None:
    spans = 0
    for world, candidates in zip(worlds, sets, strict=True):
        assert world.answer is not None
        answer = normalise_answer(world.answer)
        if set(answer.split()) <= set(normalise_answer(world.view.text).split()):
            continue
        for candidate in candidates:
            spans += 1
            passages = world.index.store.passages(list(candidate.rows))
            assert any(answer in normalise_answer(f"{p.title} {p.text}") for p in passages)
    assert spans > 20


def test_sets_are_distinct_few_and_ordered(sets: list[list[EvidenceSet]]) -> None:
    for candidates in sets:
        assert len({frozenset(s.rows) for s in candidates}) == len(candidates) <= MOST_SETS
        assert [s.prior for s in candidates] == sorted((s.prior for s in candidates), reverse=True)
        assert all(len(set(s.rows)) == len(s.rows) > 0 for s in candidates)


def test_a_comparison_is_answered_from_both_things(worlds: list[QuestionWorld]) -> None:
    compared = [w for w in worlds if " or " in w.view.text and len(w.view.named) == 2]
    assert compared
    for world in compared:
        assert any(set(s.rows) >= set(world.view.named) for s in evidence_sets(world))


@pytest.mark.parametrize("answer", [None, "", "Zanzibar Quixote"])
def test_an_answer_that_is_nowhere_has_no_set(worlds: list[QuestionWorld], answer: str | None) -> None:
    assert evidence_sets(unlabelled(worlds[0], answer)) == []
