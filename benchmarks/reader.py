"""How well the built-in reader answers: exact match, F1, how many answers it states, and how many of these are right.

    python benchmarks/reader.py --data ../shared/data --indexes INDEXES [--policy RUN] [--json F.json]
    python benchmarks/reader.py --data ../shared/data --indexes INDEXES --train agent/shipped

The first measures the reader beside a policy (the one that ships) on dev, from the evidence of the policy, from that of
the labels, and from what a search brings when the labelled passages are not there. The second trains the reader that
ships, on the train splits alone: of 2wiki-train, hotpotqa and musique to answer, and of four sets of documentation,
whose questions no span answers, to be silent.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from inputs import arguments, open_index, parse
from table import by_system, show, write
from trailhound.agent._policy_file import load_policy
from trailhound.agent._systems import PolicySystem, System, open_system
from trailhound.agent.reader._extractive import ExtractiveReader, save_reader
from trailhound.agent.reader._language_models import SHIPPED, answering_reader
from trailhound.agent.reader._passage_analysis import PassageAnalyser
from trailhound.agent.reader._protocol import exact_match, f1_score
from trailhound.envs._question_set import QuestionSet
from trailhound.index.index import Index
from trailhound.learning._certainty import fit_certainty, judge
from trailhound.learning._reader import ReadingExample, calibrate, reading_example, train_reader
from trailhound.learning.policy.recipe import Recipe
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.records import Passage

TRAINED_ON = ("2wiki-train", "hotpotqa", "musique")
SILENT_ON = ("techdocs", "medical", "finance-tables", "excerpts")
"""Documentation and the like: how-to, lists, sums over tables."""
MEASURED_ON = (("2wiki", "dev"), ("hotpotqa", "dev"), ("musique", "dev"))
HELD_OUT = 0.1
"""Share of the training questions that the certainty is fitted to."""
MEMBERS = 5
"""Networks of the reader that ships."""
READ = 5


def questions_of(parsed: argparse.Namespace, name: str, split: str) -> QuestionSet:
    """Open the questions of a split over their index."""
    index = open_index(parsed, name)
    return QuestionSet.load(index, parsed.data / name, split, load_policy(parsed.policy).settings, lambda message: None)


def examples(parsed: argparse.Namespace) -> list[tuple[str, ReadingExample]]:
    """Return every training question with its labelled evidence, by set, in random order."""
    out = []
    for name in TRAINED_ON:
        questions = questions_of(parsed, name, "train")
        for number in range(len(questions)):
            example = reading_example(questions.world(number), questions.items[number].gold)
            if example is not None:
                out.append((name, example))
    return [out[k] for k in np.random.default_rng(0).permutation(len(out))]


def readings(
    parsed: argparse.Namespace, held_out: list[tuple[str, ReadingExample]]
) -> Iterator[tuple[str, list[Passage], str | None]]:
    """Yield questions with passages and the answer, None where they do not say.

    A question that was held out is read with its labels, with what hybrid search finds, and with that but for the
    labels; training questions of documentation with what hybrid search finds.
    """
    for name in (*TRAINED_ON, *SILENT_ON):
        index = open_index(parsed, name)
        system = open_system(index, "hybrid")

        def found(question: str, system: System = system, index: Index = index) -> list[Passage]:
            return list(index.store.passages(system.rank(question, 2 * READ).rows.tolist()))

        for example in (example for of, example in held_out if of == name):
            labelled, everything = {passage.id for passage in example.evidence}, found(example.question)
            yield example.question, [*example.evidence, *example.others[:1]], example.answer
            yield example.question, everything[:READ], example.answer
            yield example.question, [p for p in everything if p.id not in labelled][:READ], None
        if name in SILENT_ON:
            for question in load_questions(parsed.data / name, "train")[0]:
                yield question.text, found(question.text)[:READ], None


def trained(parsed: argparse.Namespace) -> ExtractiveReader:
    """Return the reader that ships, trained anew."""
    everything, analyser = examples(parsed), PassageAnalyser()
    aside = round(HELD_OUT * len(everything))
    held_out, learned = everything[:aside], [example for _, example in everything[aside:]]
    reader = train_reader(learned, Recipe().reader_epochs, 0, members=MEMBERS, analyser=analyser)
    calibrate(reader, [example for _, example in held_out], 0)
    judged = [judge(reader, *reading) for reading in readings(parsed, held_out)]
    certainty = fit_certainty([one for one in judged if one is not None])
    return ExtractiveReader(reader.network, analyser, certainty)


def found_by(policy: Path, questions: QuestionSet, gold: bool = True) -> list[list[int]]:
    """Return the rows that are read for every question; without ``gold`` the labelled passages are gone."""
    system = PolicySystem(questions.index, load_policy(policy), str(policy))
    ranked = [system.rank(item.question.text, 20) for item in questions.items]
    if gold:
        return [found.to_read(READ).tolist() for found in ranked]
    return [
        [row for row in found.rows.tolist() if row not in item.gold][:READ]
        for item, found in zip(questions.items, ranked, strict=True)
    ]


def scores(reader: ExtractiveReader, questions: QuestionSet, evidence: list[list[int]]) -> dict[str, float]:
    """Return exact match, F1, the share of answers stated, and how many of these are right, in percent."""
    judged, stated = [], []
    for item, rows in zip(questions.items, evidence, strict=True):
        answer = reader.answer(item.question.text, questions.index.store.passages(rows))
        text, gold = answer.text if answer is not None else "", item.question.answer or ""
        judged.append((exact_match(text, gold), f1_score(text, gold)))
        stated.append(answer is not None and answer.stated)
    right = np.array(judged)[:, 0]
    exact, f1 = 100 * np.mean(judged, axis=0)
    precision = 100 * float(right[stated].mean()) if any(stated) else float("nan")
    return {
        "exact match": float(exact),
        "F1": float(f1),
        "stated": 100 * float(np.mean(stated)),
        "of them right": precision,
    }


def main() -> None:
    """Print one row for each set and kind of evidence; or train."""
    parser = arguments(__doc__, "data", "indexes", "work", "policy", work=Path("runs/quality"), policy=SHIPPED)
    parser.add_argument("--train", type=Path, metavar="FOLDER", help="train the reader that ships, into this folder")
    parsed = parse(parser)
    if parsed.train is not None:
        save_reader(parsed.train, trained(parsed), {"sets": list(TRAINED_ON), "seed": 0})
        return
    reader = answering_reader(parsed.policy)
    if reader is None:
        raise SystemExit(f"there is no reader beside {parsed.policy}")
    results: dict[str, list[dict[str, float]]] = {}
    for name, split in MEASURED_ON:
        questions = questions_of(parsed, name, split)
        labelled = [sorted(item.gold) for item in questions.items]
        for kind, evidence in (
            ("evidence of the policy", found_by(parsed.policy, questions)),
            ("evidence of the labels", labelled),
            ("the labelled passages gone", found_by(parsed.policy, questions, gold=False)),
        ):
            results[f"{name}, {kind}"] = [scores(reader, questions, evidence)]
            write(results, parsed)
    show("the reader's answers, in percent", by_system(results, heading="set, evidence"), parsed)


if __name__ == "__main__":
    main()
