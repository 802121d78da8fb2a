"""How well the built-in reader answers: exact match and F1 on dev, from the policy's evidence and from the labels'.

    python benchmarks/reading.py --data ../shared/data --indexes INDEXES [--policy RUN] [--seeds 0 1 2] [--json F.json]

Without ``--seeds`` the reader beside the policy is measured (the one that ships). With them, one reader for each seed
is trained on the train splits of 2wiki-train, hotpotqa and musique, as `trailhound train` does, and measured.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from trailhound import Index
from trailhound.agent.policy_file import load_policy
from trailhound.agent.reading.answer_text import exact_match, f1_score
from trailhound.agent.reading.opening import SHIPPED, answering_reader
from trailhound.agent.reading.protocol import AnsweringReader
from trailhound.agent.systems import PolicySystem
from trailhound.envs.question_set import QuestionSet
from trailhound.learning.policy.recipe import Recipe
from trailhound.learning.reader.examples import reading_example
from trailhound.learning.reader.reader_training import ReadingExample, train_reader

TRAINED_ON = ("2wiki-train", "hotpotqa", "musique")
MEASURED_ON = (("2wiki", "dev"), ("hotpotqa", "dev"), ("musique", "dev"))


def questions_of(name: str, split: str, data: Path, indexes: Path, policy: Path) -> QuestionSet:
    """Open the questions of a split over their index."""
    index = Index.open(indexes / f"{name}.index", threads=1)
    return QuestionSet.load(index, data / name, split, load_policy(policy).settings, lambda message: None)


def examples(data: Path, indexes: Path, policy: Path) -> list[ReadingExample]:
    """Return every training question with its labelled evidence."""
    out = []
    for name in TRAINED_ON:
        questions = questions_of(name, "train", data, indexes, policy)
        for number in range(len(questions)):
            example = reading_example(questions.world(number), questions.items[number].gold)
            if example is not None:
                out.append(example)
    return out


def found_by(policy: Path, questions: QuestionSet) -> list[list[int]]:
    """Return the rows that the policy takes for every question."""
    system = PolicySystem(questions.index, load_policy(policy), str(policy))
    ranked = [system.rank(item.question.text, 10) for item in questions.items]
    return [found.to_read(5).tolist() for found in ranked]


def scores(reader: AnsweringReader, questions: QuestionSet, evidence: list[list[int]]) -> tuple[float, float]:
    """Return exact match and F1, in percent."""
    judged = []
    for item, rows in zip(questions.items, evidence, strict=True):
        answer = reader.answer(item.question.text, questions.index.store.passages(rows))
        text, gold = answer.text if answer is not None else "", item.question.answer or ""
        judged.append((exact_match(text, gold), f1_score(text, gold)))
    exact, f1 = 100 * np.mean(judged, axis=0)
    return float(exact), float(f1)


def main() -> None:
    """Print one row for each set and kind of evidence, over all readers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--indexes", type=Path, required=True)
    parser.add_argument("--policy", type=Path, default=SHIPPED)
    parser.add_argument("--seeds", type=int, nargs="*", default=[])
    parser.add_argument("--json", type=Path, default=None)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    shipped = answering_reader(chosen.policy)
    readers: list[AnsweringReader] = [shipped] if shipped is not None and not chosen.seeds else []
    if chosen.seeds:
        learned = examples(chosen.data, chosen.indexes, chosen.policy)
        readers += [train_reader(learned, Recipe().reader_epochs, seed) for seed in chosen.seeds]
    results = {}
    for name, split in MEASURED_ON:
        questions = questions_of(name, split, chosen.data, chosen.indexes, chosen.policy)
        labelled = [sorted(item.gold) for item in questions.items]
        for kind, evidence in (("policy", found_by(chosen.policy, questions)), ("labels", labelled)):
            measured = np.array([scores(reader, questions, evidence) for reader in readers])
            (exact, f1), (exact_spread, f1_spread) = measured.mean(axis=0), measured.std(axis=0)
            print(f"{name} | {kind} | {exact:.1f} ± {exact_spread:.1f} | {f1:.1f} ± {f1_spread:.1f}", flush=True)
            results[f"{name} {kind}"] = measured.tolist()
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
