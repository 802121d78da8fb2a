"""``trailhound index``: a corpus becomes an index."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..console import ProgressBar
from .arguments import command_parser, positive


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "index",
        run,
        "index a corpus: text files, BEIR, multi-hop JSON, or a knowledge graph (graph.txt)",
        "  trailhound index my-docs/ --out my-docs.index\n  trailhound index corpus.jsonl --out c.index --dense hnsw\n"
        "  trailhound index corpus.jsonl --out c.index --dense opq --late-interaction 2\n"
        "  trailhound index data/kg/umls --out umls.index",
    )
    parser.add_argument("corpus", nargs="+", type=Path, metavar="CORPUS", help="folder or file; several are one corpus")
    parser.add_argument("--out", type=Path, required=True, metavar="INDEX", help="folder to make or replace")
    parser.add_argument(
        "--encoder", default="minilm", metavar="NAME", help="minilm (built in), a folder, or a hub name"
    )
    parser.add_argument(
        "--dense",
        choices=("exact", "hnsw", "ivf", "sq8", "pq", "opq", "ivfpq", "lsh"),
        default="exact",
        help="how vectors are kept: exact (the default); hnsw, ivf: exact, with short cuts to the nearest; sq8: in a"
        " quarter of the space; pq, opq, ivfpq, lsh: in a sixteenth (opq loses least, ivfpq is for a million passages)",
    )
    parser.add_argument(
        "--late-interaction",
        type=int,
        choices=(0, 1, 2, 4),
        default=0,
        metavar="BITS",
        help="also keep every word piece in 1, 2 or 4 bits a number: a late-interaction sub-index (default: 0, none)",
    )
    parser.add_argument(
        "--dimension",
        type=positive,
        default=0,
        metavar="N",
        help="make the vectors shorter, by a map that is learned from the corpus (default: as the encoder's)",
    )
    parser.add_argument(
        "--drop-duplicates",
        action="store_true",
        help="leave out passages that repeat another; duplicates.json in the index says which (labels that name one of"
        " them find nothing)",
    )
    parser.add_argument(
        "--chunk-words", type=positive, default=120, metavar="N", help="words to a passage (default: 120)"
    )


def run(parsed: argparse.Namespace) -> None:
    """Index a corpus."""
    from ..graph.index import Index, IndexSettings

    settings = IndexSettings(
        parsed.encoder,
        parsed.dense,
        parsed.chunk_words,
        late_interaction=parsed.late_interaction,
        dimension=parsed.dimension,
        drop_duplicates=parsed.drop_duplicates,
    )
    with ProgressBar(parsed.quiet) as bar:
        index = Index.build(
            parsed.corpus,
            parsed.out,
            settings=settings,
            threads=parsed.threads,
            warn=bar.warn,
            progress=bar.report,
        )
    if index.facts is not None:
        relations = len(index.facts.relations)
        print(f"{parsed.out}: {len(index):,} entities, {relations:,} relations, {len(index.facts):,} facts")
        return
    print(
        f"{parsed.out}: {index.store.documents:,} documents, {len(index):,} passages, {len(index.graph.edges):,} links"
        + (f", {len(index.dropped):,} duplicates dropped" if parsed.drop_duplicates else "")
    )
