"""How nearly an index that grew document by document is the one that would have been built from all of them.

python benchmarks/live_fidelity.py --corpus ../shared/data/2wiki --passages 2000 --added 200

Documents are drawn from a corpus; most are indexed, the others are added one by one. What is found and linked is
compared with an index of all of them. Vectors are those of a stand-in encoder (feature hashing): the two indexes share
them, so that they do not matter here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
from trailhound import Document, Index
from trailhound.graph.edges import Relation
from trailhound.retrievers.corpus.loading import read_corpus
from trailhound.retrievers.protocols import Progress
from trailhound.retrievers.records import Query, Vectors
from trailhound.retrievers.words.terms import analyse

Edge = tuple[str, ...]


class StandIn:
    """Hashed words in place of an encoder's vectors."""

    name = "stand-in-64"
    dimension = 64

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts``, float32 [n, 64]."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for stem in analyse(text):
                code = zlib.crc32(stem.encode())
                vectors[row, code % self.dimension] += 1 if code >> 31 else -1
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def main() -> None:
    """Grow, build, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="with queries.jsonl")
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--added", type=int, default=200)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parsed = parser.parse_args()
    random = Random(parsed.seed)
    documents = random.sample(list(read_corpus([parsed.corpus], lambda message: None)), parsed.passages)
    lines = (parsed.corpus / "queries.jsonl").read_text("utf-8").splitlines()
    questions = [json.loads(line)["text"] for line in random.sample(lines, min(parsed.questions, len(lines)))]
    with tempfile.TemporaryDirectory(prefix="trailhound-fidelity-") as folder:
        figures = compare(Path(folder), documents, parsed.added, questions)
    for name, value in figures.items():
        print(f"{name:<40}{value}")
    if parsed.json is not None:
        parsed.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


def compare(folder: Path, documents: list[Document], added: int, questions: Sequence[str]) -> dict[str, object]:
    """Return how much of one index is in the other."""
    encoder = StandIn()
    live = Index.build(documents[:-added], folder / "live.index", encoder=encoder)
    for document in documents[-added:]:
        live.add([document])
    anew = Index.build(documents, folder / "anew.index", encoder=encoder)
    figures: dict[str, object] = {"passages": len(anew), "added_one_by_one": added, "questions": len(questions)}
    for name in ("lexical", "dense", "entity"):
        pairs = [(found(live, name, question), found(anew, name, question)) for question in questions]
        shared = [len(set(one) & set(other)) / max(len(other), 1) for one, other in pairs if other or one]
        figures[f"{name}_top_10_in_common"] = round(float(np.mean(shared)), 4)
        figures[f"{name}_top_10_in_same_order"] = round(float(np.mean([one == other for one, other in pairs])), 4)
    new = {passage.id for passage in live.store if passage.document_id in {d.id for d in documents[-added:]}}
    for kinds, label in (((0, 1), "mentions"), ((Relation.SHARES,), "shares")):
        one, other = edges(live, kinds), edges(anew, kinds)
        for which, some, rest in (("all", one, other), ("of_new", touching(one, new), touching(other, new))):
            figures[f"{label}_{which}"] = len(rest)
            figures[f"{label}_{which}_recall"] = round(len(some & rest) / max(len(rest), 1), 4)
            figures[f"{label}_{which}_precision"] = round(len(some & rest) / max(len(some), 1), 4)
    return figures


def found(index: Index, name: str, question: str) -> list[str]:
    """Return the ids of the ten best passages."""
    query = index.query(question) if name == "dense" else Query(question)
    rows = index.sub_indexes[name].search(query, 10).rows.tolist()
    return [passage.id for passage in index.store.passages(rows)]


def edges(index: Index, kinds: tuple[int, ...]) -> set[Edge]:
    """Return the edges of some relations, by the ids of their passages; mentions with their place."""
    graph, rows = index.graph.edges, index.store.rows().tolist()
    names = dict(zip(rows, [passage.id for passage in index.store.passages(rows)], strict=True))
    found = set()
    for k in np.flatnonzero(np.isin(graph.relation, kinds)).tolist():
        pair = names[int(graph.source[k])], names[int(graph.target[k])]
        place = (str(graph.start[k]), str(graph.end[k])) if Relation.SHARES not in kinds else ()
        found.add((*(pair if place else sorted(pair)), *place))
    return found


def touching(some: set[Edge], passages: set[str]) -> set[Edge]:
    """Return the edges from or to some passages."""
    return {edge for edge in some if edge[0] in passages or edge[1] in passages}


if __name__ == "__main__":
    main()
