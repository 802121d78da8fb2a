"""The command line: arguments and exit codes; ``commands`` does what they say."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import __version__, commands
from .commands import WrongUseError
from .errors import TrailhoundError

_SUPERVISIONS = ("passages", "answers", "none")
_SYSTEMS = ("lexical", "dense", "hybrid", "hops", "hops2", "ppr", "exhaustive", "policy")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and where help is."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        sys.stderr.write(f"{self.prog}: {message} (see  {self.prog} --help)\n")
        raise SystemExit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 failed, 2 wrong use."""
    parsed = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        _quieten()
        command: Callable[[argparse.Namespace], None] = parsed.command
        command(parsed)
        sys.stdout.flush()  # here, where a reader that has gone away can still be answered for
    except WrongUseError as error:
        sys.stderr.write(f"trailhound: {error}\n")
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (TrailhoundError, OSError) as error:
        if parsed.debug:
            raise
        sys.stderr.write(f"trailhound: {' '.join(str(error).split())}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("trailhound: interrupted; index, train and demo go on from here when they are called again\n")
        return 130
    return 0


def _quieten() -> None:
    """Keep libraries from talking over the progress bar."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="trailhound",
        description="Finds the evidence for questions that no single passage answers.",
        epilog="examples:\n  trailhound demo\n  trailhound index my-docs/ --out my-docs.index\n"
        '  trailhound search my-docs.index "Who founded the company that makes the Model 7?"',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"trailhound {__version__}")
    subcommands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)
    for add in (_add_demo, _add_index, _add_tune, _add_train, _add_tune_reranker, _add_evaluate, _add_search):
        add(subcommands)
    return parser


def _command(
    subcommands: Any, name: str, run: Callable[[argparse.Namespace], None], about: str, examples: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subcommands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=run)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument(
        "--threads",
        type=_positive,
        default=None,
        metavar="N",
        help="CPU threads (default: all to encode a corpus, else 1)",
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, not {text!r}")
    return int(text)


def _add_demo(subcommands: Any) -> None:
    parser = _command(
        subcommands,
        "demo",
        commands.demo,
        "run the whole main job once, on a corpus that the program makes itself",
        "  trailhound demo\n  trailhound demo --articles 5000 --out /tmp/demo",
    )
    parser.add_argument(
        "--out", type=Path, default=None, metavar="DIR", help="keep everything here (default: runs/demo)"
    )
    parser.add_argument("--articles", type=_positive, default=1000, metavar="N", help="default: 1000")
    parser.add_argument("--questions", type=_positive, default=500, metavar="N", help="default: 500")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")


def _add_index(subcommands: Any) -> None:
    parser = _command(
        subcommands,
        "index",
        commands.index,
        "index a corpus: text files, BEIR, multi-hop JSON, or a knowledge graph (graph.txt)",
        "  trailhound index my-docs/ --out my-docs.index\n  trailhound index corpus.jsonl --out c.index --dense hnsw\n"
        "  trailhound index data/kg/umls --out umls.index",
    )
    parser.add_argument("corpus", nargs="+", type=Path, metavar="CORPUS", help="folder or file; several are one corpus")
    parser.add_argument("--out", type=Path, required=True, metavar="INDEX", help="folder to make or replace")
    parser.add_argument(
        "--encoder", default="minilm", metavar="NAME", help="minilm (built in), a folder, or a hub name"
    )
    parser.add_argument("--dense", choices=("exact", "hnsw", "ivf"), default="exact", help="default: exact")
    parser.add_argument(
        "--chunk-words", type=_positive, default=120, metavar="N", help="words to a passage (default: 120)"
    )


def _add_tune(subcommands: Any) -> None:
    parser = _command(
        subcommands,
        "tune",
        commands.tune,
        "tune the encoder of queries that hold evidence, on labelled questions; indexes stay as they are",
        "  trailhound tune --index w.index --questions data/w --split train --out runs/w-hop\n"
        "  trailhound tune --index a.index --questions a --index b.index --questions b --split train --out runs/hop",
    )
    _add_tuning(parser, rank=8)


def _add_tune_reranker(subcommands: Any) -> None:
    parser = _command(
        subcommands,
        "tune-reranker",
        commands.tune_reranker,
        "tune a cross-encoder that re-ranks what a policy finds, on labelled questions",
        "  trailhound tune-reranker --index w.index --questions data/w --split train --policy runs/w --out runs/w-rr",
    )
    parser.add_argument(
        "--policy", type=Path, default=None, metavar="RUN", help="whose results it re-ranks (default: the shipped one)"
    )
    parser.add_argument(
        "--states", type=_positive, default=2000, metavar="N", help="most questions of an epoch (default: 2000)"
    )
    _add_tuning(parser, rank=16)


def _add_tuning(parser: argparse.ArgumentParser, rank: int) -> None:
    """Add what both commands that tune an encoder take."""
    _add_sources(parser, required=True)
    parser.add_argument("--epochs", type=_positive, default=4, metavar="N", help="default: 4")
    parser.add_argument(
        "--rank", type=_positive, default=rank, metavar="N", help=f"of the change of the weights (default: {rank})"
    )
    _add_device(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the result; goes on if interrupted"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="cpu, cuda, or auto: a GPU where there is one (default: auto)"
    )


def _add_path_reranker(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--path-reranker",
        type=Path,
        default=None,
        metavar="DIR",
        help="re-rank the result with what `trailhound tune-reranker` made (default: leave it as it is)",
    )


def _add_sources(parser: argparse.ArgumentParser, required: bool) -> None:
    """Add what the commands that learn learn from."""
    parser.add_argument("--index", type=Path, action="append", required=True, metavar="INDEX", help="may be repeated")
    parser.add_argument(
        "--questions",
        type=Path,
        action="append",
        default=None if required else [],
        required=required,
        metavar="DIR",
        help="one per --index: queries.jsonl with qrels/, a native file, or a folder of SPLIT.txt triples",
    )
    parser.add_argument("--split", required=required, metavar="SPLIT", help="of every questions folder")


def _add_train(subcommands: Any) -> None:
    parser = _command(
        subcommands,
        "train",
        commands.train,
        "train a search policy on labelled questions, or on none",
        "  trailhound train --index w.index --questions data/2wiki-train --split train \\\n"
        "      --validation data/2wiki-train:validation --out runs/2wiki --seed 0\n"
        "  trailhound train --index a.index --questions a --index b.index --questions b --split train --out runs/both\n"
        "  trailhound train --index w.index --questions data/w --split train --out runs/w --set ppo_iterations=20\n"
        "  trailhound train --index w.index --supervision none --out runs/w\n"
        "  trailhound train --index umls.index --questions data/kg/umls --split train --recipe kg --out runs/umls",
    )
    _add_sources(parser, required=False)
    parser.add_argument(
        "--supervision",
        choices=_SUPERVISIONS,
        default="passages",
        help="what is known: the supporting passages (default), the answers alone, or none: questions are made from"
        " the corpus itself",
    )
    parser.add_argument(
        "--validation",
        action="append",
        default=[],
        metavar="DIR:SPLIT",
        help="decides which policy is kept (default: a tenth of the questions)",
    )
    parser.add_argument(
        "--hop-encoder",
        type=Path,
        default=None,
        metavar="DIR|shipped",
        help="encoder that `trailhound tune` made, or the one that ships, for queries that hold evidence (default: the"
        " index's)",
    )
    parser.add_argument(
        "--reader",
        default=None,
        metavar="READER",
        help="judges paths: coverage, builtin, a folder of a reader or of a transformers model, or URL#MODEL"
        " (default: coverage with passages, readers trained in the run with answers)",
    )
    parser.add_argument(
        "--recipe", default=None, metavar="NAME|FILE", help="settings: a name of runs/recipes or a .toml"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting of the recipe")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="RUN", help="folder of the run; goes on if interrupted"
    )
    parser.add_argument(
        "--workers",
        type=_positive,
        default=1,
        metavar="N",
        help="processes that train together (default: 1); a run is reproducible for a given seed AND number of workers",
    )
    _add_device(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")


def _add_evaluate(subcommands: Any) -> None:
    parser = _command(
        subcommands,
        "evaluate",
        commands.evaluate,
        "measure a policy or a fixed system on labelled questions",
        "  trailhound evaluate --index w.index --questions data/w --split dev --policy runs/w --run-file w.trec\n"
        "  trailhound evaluate --index w.index --questions data/w --split dev --system hybrid --json hybrid.json\n"
        "  trailhound evaluate --index w.index --questions data/w --split dev --path-reranker runs/w-reranker\n"
        "  trailhound evaluate --index umls.index --questions data/kg/umls --split dev --policy runs/umls",
    )
    parser.add_argument("--index", type=Path, required=True, metavar="INDEX")
    parser.add_argument(
        "--questions",
        type=Path,
        required=True,
        metavar="DIR",
        help="queries.jsonl and qrels/, a native file, or triples",
    )
    parser.add_argument("--split", required=True, metavar="SPLIT")
    parser.add_argument("--policy", type=Path, default=None, metavar="RUN", help="default: the one that ships")
    parser.add_argument("--system", choices=_SYSTEMS, default=None, help="default: policy")
    _add_path_reranker(parser)
    parser.add_argument(
        "--run-file", type=Path, default=None, metavar="FILE", help="write the rankings in TREC's format"
    )
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the figures as one flat object")
    parser.add_argument(
        "--reliability", type=Path, default=None, metavar="FILE.svg", help="draw how far its confidence can be trusted"
    )


def _add_search(subcommands: Any) -> None:
    parser = _command(
        subcommands,
        "search",
        commands.search,
        "search an index and show the path",
        '  trailhound search w.index "Who is the mother of the director of Polish-Russian War?"\n'
        '  trailhound search w.index "..." --policy runs/w --json\n'
        '  trailhound search w.index "..." --picture path.svg\n'
        '  trailhound search umls.index "alga isa" --policy runs/umls',
    )
    parser.add_argument("index", type=Path, metavar="INDEX")
    parser.add_argument("question", metavar="QUESTION")
    parser.add_argument("--policy", type=Path, default=None, metavar="RUN", help="default: the one that ships")
    parser.add_argument("--system", choices=_SYSTEMS, default=None, help="default: policy")
    _add_path_reranker(parser)
    parser.add_argument("--limit", type=_positive, default=5, metavar="N", help="passages to show (default: 5)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the result as JSON")
    form.add_argument("--context", type=_positive, default=None, metavar="TOKENS", help="print a prompt context only")
    parser.add_argument("--picture", type=Path, default=None, metavar="FILE.svg", help="draw the path as a picture")
