"""What ``index --shards`` makes, and what ``search`` finds in it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..console import ProgressBar
from ..retrievers._folder import LOCK_TIMEOUT
from .arguments import WrongUseError, encoder_on, positive, share

if TYPE_CHECKING:
    from ..index.settings import IndexSettings
    from ..sharding.sharded_index import ShardedIndex


_SHARDS_ALONE = ("ray", "replicas", "ask", "ask_mass")


def add_sharding(parser: argparse.ArgumentParser) -> None:
    """Add how a corpus is indexed in parts."""
    about = "index the corpus in so many parts, each an index of its own, which are searched as one"
    parser.add_argument("--shards", type=positive, metavar="N", help=about)
    parser.add_argument(
        "--partition",
        choices=("hash", "topics"),
        help="with --shards: part documents by the hash of their ids (hash, the default), or by what they are about"
        " (topics), so that what a question asks for lies in few shards",
    )
    add_ray(parser, "with --shards: build each as a task of the Ray cluster at ADDRESS, or auto, or local")


def add_ray(parser: argparse.ArgumentParser, about: str) -> None:
    """Add the address of a Ray cluster."""
    parser.add_argument("--ray", metavar="ADDRESS", help=about)


def add_replicas(parser: argparse.ArgumentParser, about: str) -> None:
    """Add how many actors answer for each part."""
    parser.add_argument("--replicas", type=positive, metavar="N", help=f"{about} (default: 1)")


def add_asking(parser: argparse.ArgumentParser) -> None:
    """Add how many parts are asked."""
    about = "ask so much of the shards of a sharded index by topics, as in 0.25: those that probably hold the answer"
    parser.add_argument("--ask", type=share, metavar="SHARE", help=f"{about} (default: 1, all)")
    about = "ask no more shards than hold so much of the probability, as in 0.9"
    parser.add_argument("--ask-mass", type=share, metavar="SHARE", help=f"{about} (default: 1, all)")


def build_shards(parsed: argparse.Namespace, settings: IndexSettings, patterns: Mapping[str, str]) -> None:
    """Build a sharded index and print its size."""
    from ..retrievers._svg import printable, printable_json
    from ..sharding.sharded_index import ShardedIndex

    if patterns:
        raise WrongUseError("--mask-pattern and --shards do not go together: mask in one index")
    if parsed.ray is not None and parsed.device != "cpu":
        raise WrongUseError(f"tasks of Ray encode on CPUs: leave --device {parsed.device} out")
    started = perf_counter()
    on_ray = _connected(parsed.ray)
    with ProgressBar(parsed.quiet) as bar:
        index = ShardedIndex.build(
            parsed.corpus,
            parsed.out,
            parsed.shards,
            settings=settings,
            encoder=encoder_on(parsed.device, settings, parsed.threads),
            threads=parsed.threads,
            warn=bar.warn,
            progress=bar.report,
            strict=parsed.strict,
            on_ray=on_ray,
            partition=parsed.partition or "hash",
        )
    figures: dict[str, Any] = {"index": str(parsed.out), "shards": len(index.shards)}
    figures |= {"documents": index.about.documents, "passages": len(index)}
    index.close()
    if parsed.json:
        print(printable_json({**figures, "seconds": round(perf_counter() - started, 3)}))
    else:
        sizes = ", ".join(f"{figures[name]:,} {name}" for name in ("shards", "documents", "passages"))
        print(printable(f"{parsed.out}: {sizes}"))


def refuse(parsed: argparse.Namespace, options: Sequence[str]) -> None:
    """Refuse options that a sharded index has no use for."""
    given = [f"--{name.replace('_', '-')}" for name in options if getattr(parsed, name)]
    if given:
        raise WrongUseError(f"{parsed.index} is a sharded index, which goes without {', '.join(given)}: leave that out")


def refuse_without_shards(parsed: argparse.Namespace) -> None:
    """Refuse options that only a sharded index has a use for."""
    given = [f"--{name.replace('_', '-')}" for name in _SHARDS_ALONE if getattr(parsed, name) is not None]
    if given:
        raise WrongUseError(f"{parsed.index} is no sharded index, which {', '.join(given)} is for: leave that out")


def open_shards(parsed: argparse.Namespace, lock_timeout: float = LOCK_TIMEOUT) -> ShardedIndex:
    """Open the sharded index of a command, here or on the Ray cluster that it names."""
    from ..sharding.sharded_index import ShardedIndex

    replicas = getattr(parsed, "replicas", None) or 1
    if replicas > 1 and parsed.ray is None:
        raise WrongUseError("replicas are actors of a Ray cluster: give --ray ADDRESS as well")
    on_ray, threads = _connected(parsed.ray), parsed.threads or 1
    return ShardedIndex(
        parsed.index,
        threads=threads,
        on_ray=on_ray,
        lock_timeout=lock_timeout,
        replicas=replicas,
        ask=getattr(parsed, "ask", None) or 1.0,
        ask_mass=getattr(parsed, "ask_mass", None) or 1.0,
    )


def _connected(address: str | None) -> bool:
    """Connect to a Ray cluster where an address is given, and return whether it was."""
    if address is None:
        return False
    from ..retrievers._ray_cluster import connect

    connect(address)
    return True
