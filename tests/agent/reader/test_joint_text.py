"""Question and passages are read as one text, in which every candidate has its place."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures.reading import film, passage
from hypothesis import given
from hypothesis import strategies as st
from trailhound.agent.reader._candidate_features import read_candidates
from trailhound.agent.reader._joint_text import LONGEST, CloseEncoder, places_of, shared_room
from trailhound.agent.reader._passage_analysis import PassageAnalyser
from trailhound.retrievers.records import Passage


@pytest.fixture(scope="module")
def encoder() -> CloseEncoder:
    return CloseEncoder(None)


def words_at(encoder: CloseEncoder, ids: tuple[int, ...], first: int, last: int) -> str:
    return str(encoder._tokenizer.decode(list(ids[first : last + 1]))).replace(" ", "")


@pytest.mark.parametrize("question", ["Where was the director of The Silver River born?", "Which is older, A or B?"])
def test_the_pieces_of_a_candidate_are_its_words(
    encoder: CloseEncoder, analyser: PassageAnalyser, question: str
) -> None:
    passages = [*film(3)[:2], passage("", "Tallinn: “a city” of 1,500 Übermenschen.")]
    candidates = read_candidates(question, analyser.read(passages), analyser.vectors)
    joint = encoder.join(question, passages)
    spans, read = places_of(candidates, joint, question)
    for k, surface in enumerate(candidates.surfaces):
        if surface in ("", "yes", "no"):
            assert read[k] == 0
            continue
        assert read[k] == 1
        said = words_at(encoder, joint.ids, *spans[k].tolist())
        assert said == surface.lower().replace(" ", "").replace("ü", "u"), surface


def test_a_long_passage_is_cut_and_a_short_one_is_not(encoder: CloseEncoder, analyser: PassageAnalyser) -> None:
    short = passage("Ada Brun", "Ada Brun was born in Torl.")
    long = passage("The war", " ".join(f"In {1500 + k} King Otto fought again." for k in range(90)))
    question = "Where was Ada Brun born?"
    joint = encoder.join(question, [long, short])
    assert len(joint.ids) == len(joint.kinds) == LONGEST
    candidates = read_candidates(question, analyser.read([long, short]), analyser.vectors)
    _, read = places_of(candidates, joint, question)
    whole = dict(zip(candidates.surfaces, read.tolist(), strict=True))
    assert (whole["Torl"], whole["1500"], whole["1589"]) == (1, 1, 0)


def test_the_kinds_tell_the_question_from_the_passages(encoder: CloseEncoder) -> None:
    joint = encoder.join("Who?", [passage("A", "B c.")])
    assert joint.kinds == (0, 0, 0, 0, *[1] * (len(joint.ids) - 4))


@given(st.lists(st.integers(0, 400), max_size=6), st.integers(0, 500))
def test_room_is_shared_and_never_exceeded(wanted: list[int], room: int) -> None:
    given_room = shared_room(wanted, room)
    assert all(0 <= one <= most for one, most in zip(given_room, wanted, strict=True))
    assert sum(given_room) <= room
    if sum(wanted) <= room:
        assert given_room == wanted


def test_states_are_one_for_every_piece_and_depend_on_the_question(
    encoder: CloseEncoder, analyser: PassageAnalyser
) -> None:
    """The passage is read with the question: another question gives the same words other states."""
    read: list[np.ndarray] = []
    passages: list[Passage] = [film(3)[1]]
    for question in ("Where was he born?", "What was he known for?"):
        candidates = read_candidates(question, analyser.read(passages), analyser.vectors)
        states = encoder.states(question, passages, candidates)
        joint = encoder.join(question, passages)
        assert states.states.shape == (len(joint.ids), 384)
        read.append(states.states[joint.passages[0][0]])
    assert np.abs(read[0] - read[1]).max() > 0.01
