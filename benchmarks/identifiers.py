"""Exact names: 60 releases by their checksum, and identifiers of real source files asked for within a sentence.

    python benchmarks/identifiers.py
    python benchmarks/identifiers.py --source path/to/files --files 80 --identifiers 200

Source files are those of the installed libraries unless ``--source`` names others. An identifier is drawn where one
file alone has it; it is found where the passage has it. The table says in what share of the questions the passage
is first, and among the first five.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from trailhound import Index, SearchAgent
from trailhound.retrievers.records import Document

SYSTEMS = ("lexical", "dense", "hybrid", "policy")
SENTENCES = (
    "Where is {} defined?", "What does {} do?", "How do I use {} in my program?", "I get an error that mentions {}.",
    "Which file has {} in it, please?",
)  # fmt: skip
_IDENTIFIER = re.compile(
    r"\b(?:[a-z]+_[a-z_]+[a-z]|[A-Z]+_[A-Z_]+[A-Z]|[a-z]+[A-Z][A-Za-z]+|[A-Z][a-z]+[A-Z][A-Za-z]+)\b"
)


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    parser.add_argument("--suffix", default=".py")
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--identifiers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args()
    rng = random.Random(parsed.seed)
    print("| what | passages | questions | " + " | ".join(f"{name}: first, of 5" for name in SYSTEMS) + " |")
    print("|---|---|---|" + "---|" * len(SYSTEMS))
    sums = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(60)]
    releases = [
        Document(
            f"r{k}", f"Release {k}", f"The archive of release {k} has the checksum {value}; the build team signed it."
        )
        for k, value in enumerate(sums)
    ]
    measure(
        "60 releases by checksum", releases, [(f"Which release has the checksum {value}?", value) for value in sums]
    )
    documents = source_files(parsed.source, parsed.suffix, parsed.files, rng)
    names = drawn(documents, parsed.identifiers, rng)
    measure(f"identifiers of {len(documents)} files", documents, [(rng.choice(SENTENCES).format(n), n) for n in names])


def source_files(folder: Path, suffix: str, count: int, rng: random.Random) -> list[Document]:
    """Return some source files of a readable size."""
    paths = [path for path in sorted(folder.rglob(f"*{suffix}")) if 2_000 < path.stat().st_size < 20_000]
    chosen = sorted(rng.sample(paths, min(count, len(paths))))
    return [
        Document(path.relative_to(folder).as_posix(), path.name, path.read_text("utf-8"), markup="code")
        for path in chosen
    ]


def drawn(documents: Sequence[Document], count: int, rng: random.Random) -> list[str]:
    """Return identifiers that one document alone has."""
    found: Counter[str] = Counter()
    for document in documents:
        found.update(set(_IDENTIFIER.findall(document.text)))
    alone = sorted(name for name, files in found.items() if files == 1 and len(name) > 7)
    return rng.sample(alone, min(count, len(alone)))


def measure(what: str, documents: Sequence[Document], questions: Sequence[tuple[str, str]]) -> None:
    """Print a row: how often each system finds the passage that has the name."""
    with tempfile.TemporaryDirectory() as folder:
        index = Index.build(documents, Path(folder) / "names.index")
        cells = []
        for system in SYSTEMS:
            agent = SearchAgent(index, system=system)
            first = among = 0
            for question, name in questions:
                has = [name in evidence.passage.text for evidence in agent.search(question, 5).evidence]
                first += has[:1] == [True]
                among += any(has)
            cells.append(f"{100 * first / len(questions):.1f}, {100 * among / len(questions):.1f}")
        print(f"| {what} | {len(index):,} | {len(questions)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
