"""Arguments that several commands take, and opening what they name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import IndexFolderError, MaskingError

if TYPE_CHECKING:
    from ..index.index import Index
    from ..index.settings import IndexSettings
    from ..learning.training_questions import TrainingSource
    from ..retrievers.protocols import Encoder

LABELS = """
questions: DIR/queries.jsonl has a question to a line, {"_id": "q1", "text": "When does the ferry leave?"}, and
DIR/qrels/SPLIT.tsv a label to a line, question id, TAB, document or passage id, TAB, score (1 or more supports, 0 does
not). A header line may be there. Ids of files are paths from the folder that was indexed: guide/ferry.md names the
document, guide/ferry.md#3 its fourth passage."""
"""How questions of one's own are written, for the help of the commands that read them."""

SYSTEMS = ("lexical", "dense", "late", "hybrid", "hops", "ppr", "exhaustive", "policy")


class WrongUseError(Exception):
    """The command line contradicts itself."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and where help is."""

    intermixed = False
    """Whether options may stand anywhere among what has no option, as in ``update INDEX --sync FOLDER``."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, whatever stands where."""
        if not self.intermixed:
            return super().parse_known_args(args, namespace)
        self.intermixed = False  # it calls this again, for each kind of arguments
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.intermixed = True

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        sys.stderr.write(f"{self.prog}: {message} (see  {self.prog} --help)\n")
        raise SystemExit(2)


def command_parser(
    subcommands: Any,
    name: str,
    run: Callable[[argparse.Namespace], None],
    about: str,
    examples: str,
    threads: str = "CPU threads (default: all to encode a corpus, else 1)",
) -> argparse.ArgumentParser:
    """Return the parser of a new command, with what every command takes."""
    parser: Parser = subcommands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.intermixed = True
    parser.set_defaults(command=run)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument("--threads", type=positive, metavar="N", help=threads)
    return parser


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, not {text!r}")
    return int(text)


def count(text: str) -> int:
    """Read a whole number from 0 on."""
    return 0 if text == "0" else positive(text)


def port_number(text: str) -> int:
    """Read the number of a port."""
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"must be a port from 1 to 65535, not {text!r}")
    return int(text)


def share(text: str) -> float:
    """Read a number above 0, at most 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, not {text!r}")
    return value


def add_path(parser: argparse.ArgumentParser, name: str, metavar: str, about: str | None = None, **how: Any) -> None:
    """Add a file or folder."""
    parser.add_argument(name, type=Path, metavar=metavar, help=about, **how)


def add_number(
    parser: argparse.ArgumentParser, name: str, default: int, about: str = "", kind: Callable[[str], int] = positive
) -> None:
    """Add a whole number; its help ends with the default."""
    ending = f"{about} (default: {default})" if about else f"default: {default}"
    parser.add_argument(name, type=kind, default=default, metavar="N", help=ending)


def add_out(parser: argparse.ArgumentParser, metavar: str, about: str) -> None:
    """Add the folder of what is learned, and the seed of everything random."""
    add_path(parser, "--out", metavar, about, required=True)
    add_number(parser, "--seed", 0, kind=int)


def add_lock_timeout(parser: argparse.ArgumentParser) -> None:
    """Let a command that changes an index say how long it waits for another."""
    about = "seconds to wait for another process that is changing the index (default: 600)"
    parser.add_argument("--lock-timeout", type=float, default=600.0, metavar="S", help=about)


def add_sources(parser: argparse.ArgumentParser, required: bool) -> None:
    """Add what the commands that learn learn from."""
    add_path(parser, "--index", "INDEX", "may be repeated", action="append", required=True)
    about = "one per --index: queries.jsonl with qrels/, a native file, or a folder of SPLIT.txt triples"
    default: list[Path] | None = None if required else []
    add_path(parser, "--questions", "DIR", about, action="append", default=default, required=required)
    parser.add_argument("--split", required=required, metavar="SPLIT", help="of every questions folder")


def add_questions(parser: argparse.ArgumentParser, about: str, required: bool = True) -> None:
    """Add the labelled questions over one index."""
    add_path(parser, "--questions", "DIR", about, required=required)
    parser.add_argument("--split", required=required, metavar="SPLIT", help="of the questions")


def check_questions(parsed: argparse.Namespace) -> None:
    """Refuse questions without a split, and a split without questions."""
    if (parsed.questions is None) != (parsed.split is None):
        raise WrongUseError("--questions and --split belong together: give both, or neither")


def add_device(parser: argparse.ArgumentParser, default: str = "auto", about: str = "") -> None:
    """Add where a network computes."""
    about = f"{about}cpu, cuda, or auto: a GPU where there is one (default: {default})"
    parser.add_argument("--device", default=default, metavar="NAME", help=about)


def encoder_on(device: str, settings: IndexSettings, threads: int | None) -> Encoder | None:
    """Return the encoder of an index to build, on another device than the CPU; None for the CPU."""
    return None if device == "cpu" else settings.load_encoder(threads, device)


def add_router(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Add the router of an index; with ``several`` one for each index."""
    about = (
        "search in the shards that `trailhound tune-router` taught it to choose, and ask for docids; a folder of"
        " such RUNs, each tuned on the index of a part of the passages, is asked as one router"
    )
    about += ": one for each --index" if several else " (default: search everything)"
    add_path(parser, "--router", "RUN", about, action="append" if several else "store")
    about = (
        "with --router, search its likeliest shards until they hold so much of the probability, at most four;"
        " 1: all of them (default: 0.9)"
    )
    parser.add_argument("--shard-mass", type=share, default=0.9, metavar="P", help=about)


def add_policy(parser: argparse.ArgumentParser) -> None:
    """Add the policy that searches, its router, and the optional last step of a search."""
    add_path(parser, "--policy", "RUN", "default: the one that ships")
    about = "re-rank the result with what `trailhound tune-reranker` made (default: leave it as it is)"
    add_path(parser, "--reranker", "DIR", about)
    add_router(parser)


def add_system(parser: argparse.ArgumentParser) -> None:
    """Add a fixed system instead of the policy, and its tuned query side."""
    parser.add_argument("--system", choices=SYSTEMS, help="default: policy")
    about = "ask --system dense or hybrid with what `trailhound tune-query` or `tune` made"
    add_path(parser, "--query-encoder", "DIR", about)


def add_mask_patterns(parser: argparse.ArgumentParser, about: str) -> None:
    """Add patterns of the user's own that are masked."""
    parser.add_argument("--mask-pattern", action="append", default=[], type=_pattern, metavar="NAME=REGEX", help=about)


def mask_patterns(parsed: argparse.Namespace) -> dict[str, str]:
    """Return the patterns by name."""
    patterns = dict(parsed.mask_pattern)
    if len(patterns) < len(parsed.mask_pattern):
        raise WrongUseError("two --mask-pattern have one name: give each its own")
    return patterns


def _pattern(definition: str) -> tuple[str, str]:
    from ..retrievers.compiling._masking import pattern_of

    try:
        return pattern_of(definition)
    except MaskingError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def open_index(
    path: Path, threads: int | None, router: Path | None = None, shard_mass: float = 0.9, lock_timeout: float = 600.0
) -> Index:
    """Open an index, with its router where one is given."""
    from ..index.index import Index
    from ..sharding._building import is_sharded, read_shards

    if is_sharded(path):
        one = path / read_shards(path).shards[0]
        raise WrongUseError(
            f"{path} is a sharded index, and this takes one index: give one of its shards, such as {one}"
        )
    return Index.open(path, threads=threads, router=router, shard_mass=shard_mass, lock_timeout=lock_timeout)


@contextmanager
def going_on(place: Path) -> Iterator[None]:
    """Let an interruption say what became of the index at ``place``, and what is kept of the work on it."""
    before = _generation(place)
    try:
        yield
    except KeyboardInterrupt:
        from ..retrievers.vectors._vector_log import VectorLog

        after = _generation(place)
        if after is None:
            about = f"there is no index at {place} yet"
        else:
            about = f"{place} is as it was" if after == before else f"{place} is changed already, and whole"
        kept = VectorLog(place.resolve()).count()
        if kept:
            about += f"; {kept:,} encoded passages are kept, and the same command goes on from there"
        raise KeyboardInterrupt(about) from None


def _generation(place: Path) -> int | None:
    """Return which state of an index is at ``place``; None where there is none."""
    from ..retrievers._folder import read_manifest

    try:
        return int(read_manifest(place)["generation"])
    except IndexFolderError:
        return None


def open_searched(parsed: argparse.Namespace) -> Index:
    """Open the index of a command that searches it, on one CPU thread unless more are asked for."""
    set_threads(parsed.threads or 1)
    return open_index(parsed.index, parsed.threads or 1, parsed.router, parsed.shard_mass)


def set_threads(threads: int) -> None:
    """Let torch compute on so many threads.

    Torch's own default is slower: the policy's tensors are too small to be worth splitting."""
    import torch

    torch.set_num_threads(threads)


def labelled(parsed: argparse.Namespace, threads: int | None) -> tuple[list[Index], list[TrainingSource]]:
    """Open what ``tune`` and ``train`` learn from."""
    from ..learning.training_questions import TrainingSource

    if len(parsed.index) != len(parsed.questions):
        raise WrongUseError(
            f"{len(parsed.index)} --index and {len(parsed.questions)} --questions: give one of each for every corpus"
        )
    routers = getattr(parsed, "router", None) or [None] * len(parsed.index)
    if len(routers) != len(parsed.index):
        raise WrongUseError(f"{len(parsed.index)} --index and {len(routers)} --router: give one for each, or none")
    mass = getattr(parsed, "shard_mass", 0.9)
    indexes = [open_index(path, threads, router, mass) for path, router in zip(parsed.index, routers, strict=True)]
    pairs = zip(indexes, parsed.questions, strict=True)
    return indexes, [TrainingSource(index, folder, parsed.split) for index, folder in pairs]


def shown(figures: Mapping[str, float]) -> str:
    """Return figures in one line."""
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
