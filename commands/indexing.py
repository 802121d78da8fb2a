"""``trailhound index``: a corpus becomes an index."""

from __future__ import annotations

import argparse
from typing import Any

from ..console import ProgressBar
from .arguments import (
    add_lock_timeout,
    add_mask_patterns,
    add_path,
    command_parser,
    mask_patterns,
    positive,
)


def add_index(subcommands: Any) -> None:
    """Add ``index`` to the command line."""
    parser = command_parser(
        subcommands,
        "index",
        _index,
        "index a corpus: text files, BEIR, multi-hop JSON, or a knowledge graph (graph.txt)",
        "  trailhound index my-docs/ --out my-docs.index\n  trailhound index corpus.jsonl --out c.index --dense hnsw\n"
        "  trailhound index my-docs/ --out d.index --mask email phone --mask-pattern 'staff=EMP-\\d{6}'\n"
        "  trailhound index my-docs/ --out d.index --chunk-tokens 100 --context corpus\n"
        "  trailhound index corpus.jsonl --out c.index --dense opq --late-interaction 2\n"
        "  trailhound index data/kg/umls --out umls.index",
    )
    add_path(parser, "corpus", "CORPUS", "folder or file; several are one corpus", nargs="+")
    add_path(parser, "--out", "INDEX", "folder to make or replace", required=True)
    about = "minilm (built in), a folder, or a hub name"
    parser.add_argument("--encoder", default="minilm", metavar="NAME", help=about)
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
    budget = parser.add_mutually_exclusive_group()
    about = "words to a passage (default: 120)"
    budget.add_argument("--chunk-words", type=positive, default=120, metavar="N", help=about)
    budget.add_argument("--chunk-tokens", type=positive, metavar="N", help="or the encoder's tokens")
    parser.add_argument(
        "--context",
        choices=("none", "corpus"),
        default="none",
        help="what is put before a passage's text to find it by: the headings above it and who in the corpus speaks"
        " of its subject (corpus); default: none",
    )
    _add_masking(parser)
    add_lock_timeout(parser)


def _add_masking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mask",
        nargs="+",
        action="extend",
        default=[],
        choices=("email", "phone", "card", "iban", "ip", "secret", "all"),
        metavar="KIND",
        help="private data that is blacked out before anything is stored: email, phone, card, iban, ip, secret, or all",
    )
    add_mask_patterns(parser, "a pattern of your own that is blacked out too; may be repeated, and is not stored")


def _index(parsed: argparse.Namespace) -> None:
    from ..index.index import Index
    from ..index.settings import IndexSettings

    patterns = mask_patterns(parsed)
    names = ("encoder", "dense", "chunk_words", "chunk_tokens", "context", "late_interaction", "dimension")
    chosen: dict[str, Any] = {name: getattr(parsed, name) for name in (*names, "drop_duplicates")}
    settings = IndexSettings(mask=tuple(parsed.mask), **chosen)
    with ProgressBar(parsed.quiet) as bar:
        index = Index.build(
            parsed.corpus,
            parsed.out,
            settings=settings,
            threads=parsed.threads,
            warn=bar.warn,
            progress=bar.report,
            mask_patterns=patterns,
            lock_timeout=parsed.lock_timeout,
        )
    if index.facts is not None:
        relations = len(index.facts.relations)
        print(f"{parsed.out}: {len(index):,} entities, {relations:,} relations, {len(index.facts):,} facts")
        return
    print(
        f"{parsed.out}: {index.store.documents:,} documents, {len(index):,} passages, {len(index.graph.edges):,} links"
        + (f", {len(index.dropped):,} duplicates dropped" if parsed.drop_duplicates else "")
    )
    if parsed.mask or patterns:
        print(_masked(index.manifest["compiler"]))


def _masked(compiler: list[dict[str, Any]]) -> str:
    """Return what was masked, in a line; never a value."""
    mask = next(stage for stage in compiler if stage["stage"] == "mask")
    counts = mask["counts"]
    found = [f"{counts[name]:,} {name}" for name in (*mask["settings"]["kinds"], *mask["settings"]["patterns"])]
    return f"masked: {', '.join(found)} in {counts['documents']:,} documents"
