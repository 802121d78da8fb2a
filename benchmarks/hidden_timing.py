"""Does the time of a search tell whether hidden documents have a word?

    python benchmarks/hidden_timing.py --index 2wiki.index --questions ../shared/data/2wiki --split dev

A copy of the index gets documents that only some may see: of every secret word one, ten, 200 or 800 have it. Whoever
may not see them asks questions that end in a secret word, and in a word of as many letters that stands nowhere. Nothing
is found by either, so only time could tell. AUROC is how often a search with a secret word is the slower one of a pair
drawn at random: 0.5 tells nothing. The interval is that of a bootstrap over the pairs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from table import markdown
from trailhound import Document, Index, SearchAgent, Where
from trailhound.retrievers.questions._labelled import load_questions

HOLDERS = (1, 10, 200, 800)
"""How many hidden documents have a secret word."""

SYSTEMS = ("lexical", "hybrid", "policy")

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


@dataclass(frozen=True)
class Pair:
    """A secret word, how many hidden documents have it, and a word like it that stands nowhere."""

    secret: str
    nowhere: str
    holders: int


def words(number: int, draw: np.random.Generator) -> list[str]:
    """Return so many invented words of eight letters."""
    made: dict[str, None] = {}
    while len(made) < number:
        letters = [draw.choice(list(_CONSONANTS if place % 2 == 0 else _VOWELS)) for place in range(8)]
        made["".join(letters)] = None
    return list(made)


def hide(index: Index, pairs: list[Pair]) -> None:
    """Add the documents with the secret words, which only the staff may see."""
    index.add(
        [
            Document(f"{pair.secret}-{k}", f"File {k}", f"The {pair.secret} is kept here. Nobody else knows of it.",
                     metadata={"access": ["staff"]})
            for pair in pairs for k in range(pair.holders)
        ]
    )  # fmt: skip


def timed(agent: SearchAgent, question: str, where: Where) -> float:
    """Return the milliseconds of a search."""
    began = perf_counter()
    agent.search(question, where=where)
    return 1000 * (perf_counter() - began)


def auroc(secret: np.ndarray, nowhere: np.ndarray) -> float:
    """Return how often a number of the first is above one of the second."""
    order = np.sort(nowhere)
    below, upto = np.searchsorted(order, secret, "left"), np.searchsorted(order, secret, "right")
    return float(((below + upto) / 2).mean() / len(order))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--split", required=True)
    parser.add_argument("--pairs", type=int, default=400, help="of questions, for each number of holders")
    parser.add_argument("--json", type=Path)
    parsed = parser.parse_args()
    draw = np.random.default_rng(0)
    texts = [one.text for one in load_questions(parsed.questions, parsed.split)[0]]
    made = words(2 * len(HOLDERS) * 10, draw)
    pairs = [Pair(*made[2 * k : 2 * k + 2], HOLDERS[k // 10]) for k in range(len(made) // 2)]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = shutil.copytree(parsed.index, Path(folder) / "copy.index")
        index = Index(place)
        hide(index, pairs)
        where = Where(principals=["public"])
        for system in SYSTEMS:
            agent = SearchAgent(index) if system == "policy" else SearchAgent(index, system=system)
            for text in texts[:20]:
                timed(agent, text, where)
            for holders in HOLDERS:
                mine = [pair for pair in pairs if pair.holders == holders]
                found = np.zeros((parsed.pairs, 2))
                for k in range(parsed.pairs):
                    pair = mine[k % len(mine)]
                    asked = [f"{texts[k % len(texts)]} {word}" for word in (pair.secret, pair.nowhere)]
                    for which in draw.permutation(2):
                        found[k, which] = timed(agent, asked[which], where)
                resampled = [
                    auroc(some[:, 0], some[:, 1])
                    for some in (found[draw.integers(0, len(found), len(found))] for _ in range(500))
                ]
                low, high = np.quantile(resampled, (0.025, 0.975))
                rows.append(
                    {
                        "system": system,
                        "hidden documents with the word": holders,
                        "ms, secret": float(np.median(found[:, 0])),
                        "ms, nowhere": float(np.median(found[:, 1])),
                        "median of the differences": float(np.median(found[:, 0] - found[:, 1])),
                        "AUROC": auroc(found[:, 0], found[:, 1]),
                        "95 % from": float(low),
                        "to": float(high),
                    }
                )
                print(rows[-1], flush=True)
    if parsed.json is not None:
        parsed.json.write_text(json.dumps(rows, indent=1), "utf-8")
    print(markdown(list(rows[0]), [[_shown(value) for value in row.values()] for row in rows]))


def _shown(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
