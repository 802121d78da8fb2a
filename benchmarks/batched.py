"""What searching questions side by side costs, beside one after the other: CPU of a search, several runs.

python benchmarks/batched.py --index 2wiki.index --questions ../shared/data/2wiki --split dev
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

from inputs import arguments, parse
from table import markdown, show, write
from trailhound import Index, SearchAgent
from trailhound.agent.search_agent import BATCH
from trailhound.retrievers.questions._labelled import load_questions

RUNS = 3


def cpu(search: Callable[[], object]) -> float:
    """Return the milliseconds of CPU that a call takes, in all threads."""
    started = process_time()
    search()
    return 1000 * (process_time() - started)


def main() -> None:
    """Print a row for each run."""
    parsed = parse(arguments(__doc__, "index", "questions", "split"))
    texts = [question.text for question in load_questions(parsed.questions, parsed.split)[0][:BATCH]]
    agent = SearchAgent(Index.open(parsed.index, threads=1))
    agent.search_many(texts[:4])
    results, rows = [], []
    for run in range(RUNS):
        alone = cpu(lambda: [agent.search(text) for text in texts]) / len(texts)
        together = cpu(lambda: agent.search_many(texts)) / len(texts)
        results.append({"alone_ms": alone, "together_ms": together})
        rows.append([run + 1, f"{alone:.1f}", f"{together:.1f}", f"{together / alone:.2f}"])
    headings = ["run", "one by one, ms of CPU a search", f"{len(texts)} side by side", "share"]
    show("Many questions side by side", markdown(headings, rows), parsed)
    write(results, parsed)


if __name__ == "__main__":
    main()
