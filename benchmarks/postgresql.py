"""What rows in PostgreSQL cost: building, opening, adding and searching, beside files, over one index's own vectors.

    python benchmarks/postgresql.py --index 2wiki.index --store postgresql://me@host/db --questions data/2wiki

Both indexes are built from the documents of ``--index``, whose vectors are taken over, so that no encoding is timed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from trailhound import Document, Index, SearchAgent
from trailhound.retrievers.questions._labelled import load_questions

ADDED = 20


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--store", required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--out", type=Path)
    parsed = parser.parse_args()
    texts = [question.text for question in load_questions(parsed.questions, parsed.split)[0]][: parsed.limit]
    rows, found = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name, store, dense in (
            ("files, exact", "", "exact"),
            ("rows, exact", parsed.store, "exact"),
            ("files, hnsw", "", "hnsw"),
            ("rows, hnsw", parsed.store, "hnsw"),
        ):
            place = Path(folder) / f"{name}.index"
            figures, answers = measured(parsed.index, place, store, dense, texts)
            rows.append({"store": name, **figures})
            found.append(answers)
            print(json.dumps(rows[-1]), flush=True)
    same = [float(np.mean([a == b for a, b in zip(found[one], found[one + 1], strict=True)])) for one in (0, 2)]
    print(f"the policy's first five passages are the same: exact {same[0]:.1%}, hnsw {same[1]:.1%}")
    if parsed.out is not None:
        parsed.out.write_text(json.dumps({"rows": rows, "same": same}, indent=2) + "\n")


def measured(
    source: Path, place: Path, store: str, dense: Any, texts: list[str]
) -> tuple[dict[str, float], list[tuple[str, ...]]]:
    """Return seconds and milliseconds of one index, and the first five passages of every question."""
    shutil.copytree(source, place)  # the build takes over its vectors
    with Index.open(place, verify=False) as given:
        documents = [given.store.document(identifier) for identifier in given.store.document_ids()]
        settings = replace(given.settings, store=store, dense=dense)
    started = perf_counter()
    index = Index.build(documents, place, settings=settings)
    figures = {"build s": perf_counter() - started}
    index.close()
    started = perf_counter()
    index = Index.open(place)
    figures["open s"] = perf_counter() - started
    queries = index.queries(texts)
    figures["dense ms"] = median_ms(lambda place: index.dense.search(queries[place], 10), len(texts))
    rows = np.random.default_rng(0).integers(0, len(index), (len(texts), 10))
    figures["ten passages ms"] = median_ms(lambda place: index.store.passages(rows[place].tolist()), len(texts))
    agent = SearchAgent(index)
    agent.search(texts[0])
    answers: list[tuple[str, ...]] = []

    def search(place: int) -> None:
        result = agent.search(texts[place])
        answers.append(tuple(one.passage.id for one in result.evidence[:5]))

    figures["search ms"] = median_ms(search, len(texts))
    additions = [Document(f"added {number}", f"Added {number}", f"A text about {number}.") for number in range(ADDED)]
    figures["add one ms"] = median_ms(lambda place: index.add([additions[place]]), ADDED)
    agent.close()
    index.close()
    return {name: round(value, 3) for name, value in figures.items()}, answers


def median_ms(do: Any, times: int) -> float:
    """Return the median of what a call takes, in milliseconds."""
    took = []
    for place in range(times):
        started = perf_counter()
        do(place)
        took.append(1000 * (perf_counter() - started))
    return float(np.median(took))


if __name__ == "__main__":
    main()
