"""Made questions are files like any other questions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trailhound import Question
from trailhound.learning.made_questions.files import are_written, write_questions
from trailhound.learning.made_questions.making import MadeQuestions
from trailhound.retrievers.questions.labelled import load_questions


@pytest.mark.parametrize(("held_out", "aside"), [(0.25, 5), (0.001, 1)])
def test_what_is_written_can_be_read_in_two_splits(held_out: float, aside: int, tmp_path: Path) -> None:
    questions = [Question(f"made-{k}", f"Où est “{k}”?", None, "chain") for k in range(20)]
    made = MadeQuestions(questions, {q.id: {f"p{q.id}": 1, "p": 1} for q in questions})
    folder = tmp_path / "run" / "questions"
    assert not are_written(folder)
    write_questions(made, folder, held_out, np.random.default_rng(0))
    assert are_written(folder)
    parts = [load_questions(folder, split) for split in ("train", "validation")]
    assert [len(part[0]) for part in parts] == [20 - aside, aside]
    together = sorted([*parts[0][0], *parts[1][0]], key=questions.index)
    assert together == questions
    assert parts[0][1] | parts[1][1] == made.qrels
