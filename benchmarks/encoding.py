"""Passages a second on the CPU and on other devices, side by side, and how near their vectors are to the CPU's.

    python benchmarks/encoding.py --corpus ../shared/data/2wiki --devices cpu cuda --threads 2

Each encodes the same passages three times; the best time counts. *index* is a whole build, with word pieces and links.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
from inputs import arguments, parse
from speed import timed
from table import Column, by_system, show, write
from trailhound import Document, Index
from trailhound.retrievers.corpus._loading import CorpusReader
from trailhound.retrievers.vectors._encoder import MiniLMEncoder, embedding_text, load_encoder

ROUNDS = 3
SHOWN = tuple(Column(name, digits=0) for name in ("vectors/s", "with word pieces/s", "index passages/s"))
SHOWN += (Column("least cosine", digits=4), Column("median cosine", digits=4))


def best(work: Callable[[], object]) -> float:
    """Return the least seconds of several times."""
    return min(timed(work) for _ in range(ROUNDS))


def indexed(documents: list[Document], encoder: MiniLMEncoder) -> float:
    """Return the seconds of building an index."""
    with tempfile.TemporaryDirectory() as folder:
        return timed(lambda: Index.build(documents, Path(folder) / "x.index", encoder=encoder).close())


def main() -> None:
    """Measure each device and print the table."""
    parser = arguments(__doc__, "most", most=6000)
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    parser.add_argument("--devices", nargs="+", default=["cpu", "cuda"], metavar="NAME")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of the CPU (default: %(default)s)")
    parsed = parse(parser)
    documents = list(islice(CorpusReader([parsed.corpus], lambda message: None), parsed.most))
    texts = [embedding_text(document.title, document.text) for document in documents]
    expected = load_encoder("minilm", parsed.threads).encode(texts)
    results = {}
    for device in parsed.devices:
        encoder = load_encoder("minilm", parsed.threads, device=device)
        assert isinstance(encoder, MiniLMEncoder)
        cosines = (encoder.encode(texts) * expected).sum(axis=1)
        results[device] = [
            {
                "vectors/s": len(texts) / best(lambda encoder=encoder: encoder.encode(texts)),
                "with word pieces/s": len(texts) / best(lambda encoder=encoder: encoder.encode_with_pieces(texts)),
                "index passages/s": len(texts) / indexed(documents, encoder),
                "least cosine": float(cosines.min()),
                "median cosine": float(np.median(cosines)),
            }
        ]
        write(results, parsed)
    show("passages a second", by_system(results, SHOWN, "device"), parsed)


if __name__ == "__main__":
    main()
