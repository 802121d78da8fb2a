"""Which sentence of a passage supports a question: by words, by encoding sentences, and by the pieces that are kept.

    python benchmarks/sentences.py --index 2wiki.index --questions ../shared/data/2wiki --split dev

Of every supporting passage in which one sentence alone has the answer, and which has others: how often it is that one
that is named, and the CPU that it takes. The question is encoded already.
"""

from __future__ import annotations

from time import process_time

import numpy as np
from inputs import arguments, parse
from table import markdown, show, write
from trailhound import Index, Passage
from trailhound.agent._sentences import SupportingSentences
from trailhound.retrievers.questions._label_targets import settle_labels
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.records import Query

WAYS = ("words", "sentences encoded", "kept word pieces")


def answered(passage: Passage, answer: str) -> tuple[int, int] | None:
    """Return the place of the one sentence that has the answer; None where there is no choice, or it is not clear."""
    found = [span for span in passage.sentences if answer.lower() in passage.text[slice(*span)].lower()]
    return found[0] if len(found) == 1 and len(passage.sentences) > 1 else None


def main() -> None:
    """Print a row for every way."""
    parser = arguments(__doc__, "index", "questions", "split")
    parser.add_argument("--most", type=int, default=1000, help="questions (default: 1000)")
    parsed = parse(parser)
    index = Index.open(parsed.index, threads=1)
    questions, qrels = load_questions(parsed.questions, parsed.split)
    labels = settle_labels(index.store, qrels)
    right, spent, count = dict.fromkeys(WAYS, 0), dict.fromkeys(WAYS, 0.0), 0
    for question in questions[: parsed.most]:
        if not question.answer or question.answer.lower() in ("yes", "no"):
            continue
        query = index.query(question.text)
        asked = (None, Query(question.text, query.vector), query)
        for target in labels.gold(question.id):
            passage = index.store.passage(target.rows[0])
            place = answered(passage, question.answer)
            if place is None:
                continue
            count += 1
            for way, given in zip(WAYS, asked, strict=True):
                began = process_time()
                found = SupportingSentences(index, question.text, given, np.array(target.rows[:1])).best([passage])[0]
                spent[way] += process_time() - began
                right[way] += found is not None and place[0] <= found.start < place[1]
    results = [
        {"way": way, "right": right[way] / count, "milliseconds": 1000 * spent[way] / count, "passages": count}
        for way in WAYS
    ]
    rows = [[way, f"{100 * right[way] / count:.1f}", f"{1000 * spent[way] / count:.2f}"] for way in WAYS]
    show(f"{count} passages", markdown(["by", "right, %", "ms of CPU a passage"], rows), parsed)
    write(results, parsed)


if __name__ == "__main__":
    main()
