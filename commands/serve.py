"""``trailhound serve``: indexes over HTTP, and a page to ask them; and the keys of such a server."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import MissingExtraError
from ..retrievers._svg import printable
from .arguments import WrongUseError, add_number, add_path, command_parser, port_number, positive
from .sharded import add_asking, add_ray, add_replicas

if TYPE_CHECKING:
    from ..serving._on_ray import Replicas
    from ..serving._settings import ServerSettings

PORT = 8008

THREADS = 2
"""Searches side by side: Python's lock lets those of a process share a core, so more would only wait for each other."""


def add_serve(subcommands: Any) -> None:
    """Add ``serve`` to the command line."""
    parser = command_parser(
        subcommands,
        "serve",
        _serve,
        "serve indexes over HTTP: search, streamed search, documents in and out, chat completions, and a page",
        "  trailhound serve my-docs.index\n"
        "  trailhound serve my-docs.index papers.index --workers 2\n"
        "  trailhound serve my-docs.index --answer-with http://localhost:8000/v1#MODEL\n"
        "  trailhound serve --new-key reader --rights my-docs:search --keys keys.jsonl\n"
        "  trailhound serve my-docs.index --host 0.0.0.0 --keys keys.jsonl\n"
        "  trailhound serve corpus.shards --ask 0.25\n"
        "  trailhound serve my-docs.index --ray auto --replicas 2 --most-replicas 8 --state /shared/state\n"
        "Each index is a workspace, called as its folder. The page is at http://127.0.0.1:8008, the schema at /docs.",
        threads="searches that each worker runs side by side (default: 2)",
    )
    add_path(parser, "index", "INDEX", "a workspace each", nargs="*")
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST", help="address to listen at (default: 127.0.0.1)")
    add_number(parser, "--port", PORT, "port to listen at", kind=port_number)
    add_number(parser, "--workers", 1, "processes that serve")
    add_ray(parser, "serve by replicas on the Ray cluster at ADDRESS, or auto, or local, instead of by processes here")
    add_replicas(parser, "with --ray: replicas, of a CPU each")
    about = "with --ray: replicas that there are while many requests wait (default: as many as always)"
    parser.add_argument("--most-replicas", type=positive, metavar="M", help=about)
    add_asking(parser)
    add_path(parser, "--policy", "RUN", "the policy that searches (default: the one that ships)")
    about = "let a model write answers from the passages, and check what it cites (OpenAI's chat completions)"
    parser.add_argument("--answer-with", metavar="URL#MODEL", help=about)
    about = "ask for an API key of this file; without it the server listens on this machine alone"
    add_path(parser, "--keys", "FILE", about)
    add_path(parser, "--state", "DIR", "keep changes that wait, so that the next start goes on with them")
    add_path(parser, "--misses", "FILE", "append the questions that were missed to this file (default: to none)")
    parser.add_argument("--new-key", metavar="NAME", help="add a key to --keys, print it once, and end")
    about = "what the new key may do: WORKSPACE:search, :write or :admin, with commas; * is every workspace"
    parser.add_argument("--rights", metavar="LIST", help=about)
    about = "the new key sees only documents that name one of these, or nobody, as `access` in their metadata"
    parser.add_argument("--principals", metavar="LIST", help=about)


def _serve(parsed: argparse.Namespace) -> None:
    if parsed.new_key is not None:
        _new_key(parsed)
        return
    if parsed.rights is not None or parsed.principals is not None:
        raise WrongUseError("--rights and --principals are of a new key: give --new-key NAME as well")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # searches share the cores, not one search its threads
    _check_installed()
    replicas = _replicas(parsed)
    with tempfile.TemporaryDirectory(prefix="trailhound-serve-") as folder:
        settings = _settings(parsed, Path(folder))
        if replicas is not None:
            from ..serving._on_ray import run_on_ray

            run_on_ray(settings, replicas, lambda: _say(parsed, settings))
            return
        from ..serving._running import run

        _say(parsed, settings)
        run(settings)


def _say(parsed: argparse.Namespace, settings: ServerSettings) -> None:
    if not parsed.quiet:
        names = ", ".join(settings.workspaces)
        where = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
        sys.stderr.write(f"serving {printable(names)} at http://{where}:{parsed.port}  (Ctrl-C ends it)\n")


def _replicas(parsed: argparse.Namespace) -> Replicas | None:
    """Return how many replicas serve on Ray; None where processes of this machine do."""
    given = (parsed.replicas, parsed.most_replicas)
    if parsed.ray is None:
        if given != (None, None):
            raise WrongUseError("--replicas and --most-replicas are of a Ray cluster: give --ray ADDRESS as well")
        return None
    if parsed.workers != 1:
        raise WrongUseError("--workers are processes here, and --ray serves by replicas: give --replicas instead")
    if parsed.ray != "local" and parsed.state is None:
        raise WrongUseError("the replicas of a cluster share a folder that all machines see: give --state DIR")
    least = parsed.replicas or 1
    most = parsed.most_replicas or least
    if most < least:
        raise WrongUseError(f"there cannot be {least} replicas always and {most} at most: give --most-replicas more")
    from ..serving._on_ray import Replicas

    return Replicas(parsed.ray, least, most)


def _check_installed() -> None:
    for package in ("fastapi", "uvicorn", "prometheus_client", "python_multipart"):
        if find_spec(package) is None:
            raise MissingExtraError(package.replace("_", "-"), "server", "trailhound serve")


def _settings(parsed: argparse.Namespace, folder: Path) -> ServerSettings:
    from ..serving._settings import LOOPBACK, ServerSettings

    if not parsed.index:
        raise WrongUseError("nothing to serve: name an INDEX")
    if parsed.keys is None and parsed.host not in LOOPBACK:
        raise WrongUseError(
            f"at {parsed.host} others could reach the server, and nobody would be asked for a key: make one with"
            " --new-key and give --keys FILE, or leave out --host"
        )
    workspaces = {}
    for place in parsed.index:
        name = place.absolute().name.removesuffix(".index")
        if name in workspaces:
            raise WrongUseError(f"two indexes are called {name!r}: rename the folder of one")
        workspaces[name] = place.absolute()
    return ServerSettings(
        workspaces,
        parsed.host,
        parsed.port,
        parsed.workers,
        parsed.threads or THREADS,
        (parsed.state or folder).absolute(),
        __version__,
        parsed.state is not None,
        parsed.keys,
        parsed.answer_with,
        parsed.misses,
        parsed.policy,
        *_asked(parsed),
    )


def _asked(parsed: argparse.Namespace) -> tuple[float, float]:
    """Return how many shards of sharded indexes are asked, as a share of them and of the probability."""
    if parsed.ask is None and parsed.ask_mass is None:
        return 1.0, 1.0
    from ..sharding._building import is_sharded, read_shards

    sharded = [place for place in parsed.index if is_sharded(place)]
    if not sharded:
        raise WrongUseError("--ask and --ask-mass are of sharded indexes, and none is served: leave them out")
    for place in sharded:
        read_shards(place).file_of_regions(place)
    return parsed.ask or 1.0, parsed.ask_mass or 1.0


def _new_key(parsed: argparse.Namespace) -> None:
    _check_installed()
    from ..serving._keys import add_key, rights_of

    if parsed.keys is None or parsed.rights is None:
        raise WrongUseError("a new key needs --keys FILE to stand in, and --rights WORKSPACE:RIGHT")
    principals = None if parsed.principals is None else [one.strip() for one in parsed.principals.split(",")]
    print(add_key(parsed.keys, parsed.new_key, rights_of(parsed.rights), principals))
    sys.stderr.write("this is the only time that the key is shown: keep it where others cannot read it\n")
