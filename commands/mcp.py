"""``trailhound mcp``: assistants search indexes and read their documents, by the Model Context Protocol."""

from __future__ import annotations

import argparse
from ipaddress import ip_address
from typing import Any

from .arguments import SYSTEMS, WrongUseError, add_path, command_parser, open_index, port_number


def add_mcp(subcommands: Any) -> None:
    """Add ``mcp`` to the command line."""
    parser = command_parser(
        subcommands,
        "mcp",
        _mcp,
        "serve indexes to assistants by the Model Context Protocol, on stdin and stdout or over HTTP",
        "  trailhound mcp my-docs.index\n"
        "  trailhound mcp handbook.index wiki.index --http 127.0.0.1:8009\n"
        "  trailhound mcp my-docs.index --principal ada --principal staff",
    )
    add_path(parser, "indexes", "INDEX", "a client calls it by the folder's name without its ending", nargs="+")
    about = "serve http://HOST:PORT/mcp instead of stdin and stdout; there are no keys, so HOST must be this machine"
    parser.add_argument("--http", type=_address, metavar="HOST:PORT", help=about)
    about = "show what this name may read, and no other document that has an access list; may be repeated"
    parser.add_argument("--principal", action="append", metavar="NAME", help=about)
    add_path(parser, "--policy", "RUN", "default: the one that ships")
    parser.add_argument("--system", choices=SYSTEMS, help="default: policy")


def _mcp(parsed: argparse.Namespace) -> None:
    """Serve until the client goes, or whoever started it stops it."""
    from ..adapters.mcp import create_server
    from ..agent.search_agent import SearchAgent

    agents: dict[str, SearchAgent] = {}
    for path in parsed.indexes:
        name = path.resolve().stem
        if name in agents:
            raise WrongUseError(f"two indexes are called {name!r}: rename the folder of one")
        threads = parsed.threads or 1
        index = open_index(path, threads)
        agents[name] = SearchAgent(index, parsed.policy, system=parsed.system, threads=threads)
    server = create_server(agents, parsed.principal)
    try:
        if parsed.http is None:
            server.run()
            return
        host, port = parsed.http
        print(f"http://{host}:{port}/mcp serves {', '.join(agents)}", flush=True)
        server.run("streamable-http", host=host, port=port, stateless_http=True)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the server has stopped") from None


def _address(text: str) -> tuple[str, int]:
    """Read an address of this machine."""
    host, _, number = text.rpartition(":")
    if not host:
        raise argparse.ArgumentTypeError(f"must be HOST:PORT, like 127.0.0.1:8009, not {text!r}")
    port, host = port_number(number), host.strip("[]")
    if host != "localhost" and not _is_loopback(host):
        raise argparse.ArgumentTypeError(
            f"{host!r} can be reached from other machines, and nobody would ask who calls: give 127.0.0.1, and put a"
            " proxy that checks who calls before it"
        )
    return host, port


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
