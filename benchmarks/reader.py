"""How well the built-in reader answers: exact match and F1 on dev, from the policy's evidence and from the labels'.

    python benchmarks/reader.py --data ../shared/data --indexes INDEXES [--policy RUN] [--seeds 0 1 2] [--json F.json]

Without ``--seeds`` the reader beside the policy is measured (the one that ships). With them, one reader for each seed
is trained on the train splits of 2wiki-train, hotpotqa and musique, as `trailhound train` does, and measured.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from inputs import arguments, open_index, parse
from table import by_system, show, write
from trailhound.agent._policy_file import load_policy
from trailhound.agent._systems import PolicySystem
from trailhound.agent.reader._extractive import ExtractiveReader
from trailhound.agent.reader._language_models import SHIPPED, answering_reader
from trailhound.agent.reader._protocol import exact_match, f1_score
from trailhound.envs._question_set import QuestionSet
from trailhound.learning._reader import ReadingExample, reading_example, train_reader
from trailhound.learning.policy.recipe import Recipe

TRAINED_ON = ("2wiki-train", "hotpotqa", "musique")
MEASURED_ON = (("2wiki", "dev"), ("hotpotqa", "dev"), ("musique", "dev"))


def questions_of(parsed: argparse.Namespace, name: str, split: str) -> QuestionSet:
    """Open the questions of a split over their index."""
    index = open_index(parsed, name)
    return QuestionSet.load(index, parsed.data / name, split, load_policy(parsed.policy).settings, lambda message: None)


def examples(parsed: argparse.Namespace) -> list[ReadingExample]:
    """Return every training question with its labelled evidence."""
    out = []
    for name in TRAINED_ON:
        questions = questions_of(parsed, name, "train")
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


def scores(reader: ExtractiveReader, questions: QuestionSet, evidence: list[list[int]]) -> tuple[float, float]:
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
    parser = arguments(__doc__, "data", "indexes", "work", "policy", work=Path("runs/quality"), policy=SHIPPED)
    parser.add_argument("--seeds", type=int, nargs="*", default=[], help="train readers with these")
    parsed = parse(parser)
    shipped = answering_reader(parsed.policy)
    readers: list[ExtractiveReader] = [shipped] if shipped is not None and not parsed.seeds else []
    if parsed.seeds:
        learned = examples(parsed)
        readers += [train_reader(learned, Recipe().reader_epochs, seed) for seed in parsed.seeds]
    results: dict[str, list[dict[str, float]]] = {}
    for name, split in MEASURED_ON:
        questions = questions_of(parsed, name, split)
        labelled = [sorted(item.gold) for item in questions.items]
        for kind, evidence in (("policy", found_by(parsed.policy, questions)), ("labels", labelled)):
            measured = [scores(reader, questions, evidence) for reader in readers]
            results[f"{name}, evidence of the {kind}"] = [{"exact match": exact, "F1": f1} for exact, f1 in measured]
            write(results, parsed)
    show("the reader's answers, in percent", by_system(results, heading="set, evidence"), parsed)


if __name__ == "__main__":
    main()
