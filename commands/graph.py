"""``trailhound graph``: what the knowledge graph of an index is, exported and drawn."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from ..console import ProgressBar
from .arguments import WrongUseError, add_number, add_path, command_parser, open_index

if TYPE_CHECKING:
    from ..graph._overview import GraphOverview
    from ..index.index import Index

_GROUPS = {
    "mentions": "it mentions",
    "mentioned_by": "it is mentioned by",
    "shares": "it shares rare phrases with",
    "adjacent": "it adjoins",
}


def add_graph(subcommands: Any) -> None:
    """Add ``graph`` to the command line."""
    parser = command_parser(
        subcommands,
        "graph",
        _graph,
        "show what the knowledge graph of an index is, export it, or draw the neighbourhood of a passage",
        "  trailhound graph w.index\n"
        "  trailhound graph w.index --json\n"
        "  trailhound graph w.index --graphml w.graphml\n"
        "  trailhound graph w.index --passage brun.md#0\n"
        "  trailhound graph w.index --passage brun.md#0 --hops 2 --svg brun.svg",
    )
    add_path(parser, "index", "INDEX")
    add_path(parser, "--graphml", "FILE", "export the graph, for networkx, Gephi or Cytoscape")
    parser.add_argument("--passage", metavar="ID", help="show what this passage is linked to instead")
    add_number(parser, "--hops", 1, "with --svg, how far")
    add_path(parser, "--svg", "FILE", "with --passage, draw its neighbourhood")
    add_number(parser, "--limit", 10, "hubs, or links of a group, to show")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def _graph(parsed: argparse.Namespace) -> None:
    """Show, export or draw a knowledge graph."""
    if parsed.svg is not None and parsed.passage is None:
        raise WrongUseError("--svg draws the neighbourhood of a passage: give its --passage ID too")
    with ProgressBar(parsed.quiet) as bar:
        bar.report("opening the index", 0, 0)
        index = open_index(parsed.index, parsed.threads)
        if parsed.graphml is not None:
            from ..graph._overview import write_graphml

            titles, documents = index.store.columns()
            write_graphml(parsed.graphml, index.graph, titles, documents, index.store.rows(), bar.report)
        if parsed.passage is not None:
            _show_passage(index, parsed, bar)
            return
        bar.report("counting", 0, 0)
        _show_graph(index, parsed)


def _show_graph(index: Index, parsed: argparse.Namespace) -> None:
    """Print the figures of the whole graph."""
    from ..graph._overview import overview

    figures = overview(index.graph, index.store.rows(), parsed.limit)
    shown = [hub.row for hub in figures.hubs] + figures.isolated.tolist()
    if parsed.json:
        names = {row: passage.id for row, passage in zip(shown, index.store.passages(shown), strict=True)}
        print(json.dumps(figures.to_json(names), indent=2))
        return
    _print_figures(figures)
    print("\npassages with the most links (mentions, mentioned by, others)")
    for hub, passage in zip(figures.hubs, index.store.passages([hub.row for hub in figures.hubs]), strict=True):
        print(f"  {hub.mentions:6} {hub.mentioned_by:6} {hub.others:6}  {_name(passage.title, passage.id)}")
    few = figures.isolated[: parsed.limit].tolist()
    if few:
        print(f"\npassages without any link: {len(figures.isolated)}")
        for passage in index.store.passages(few):
            print(f"  {_name(passage.title, passage.id)}")


def _print_figures(figures: GraphOverview) -> None:
    """Print what can be said without titles."""
    print(f"{figures.passages} passages, {sum(figures.edges.values())} edges")
    for relation, count in figures.edges.items():
        print(f"  {count:10} {relation.replace('_', ' ')}")
    print(
        f"{figures.components} connected components; the largest holds {figures.largest_component} passages"
        f" ({100 * figures.largest_share:.1f} %)"
    )
    percents = list(next(iter(figures.degrees.values())))
    print("\nlinks of a passage " + "".join(f"{f'{percent} %':>8}" for percent in percents))
    for group, values in figures.degrees.items():
        print(f"  {group.replace('_', ' '):16} " + "".join(f"{value:8.0f}" for value in values.values()))


def _show_passage(index: Index, parsed: argparse.Namespace, bar: ProgressBar) -> None:
    """Print what a passage is linked to, and draw it."""
    try:
        row = index.store.row_of(parsed.passage)
    except KeyError as error:
        raise WrongUseError(
            f"{parsed.index} has no passage {parsed.passage!r}: give the id of one, as `trailhound search --json` or"
            " `trailhound graph` prints them"
        ) from error
    links = {group: index.graph.neighbours(row, group).rows.tolist() for group in _GROUPS}
    passage = index.store.passages([row])[0]
    if parsed.svg is not None:
        from ..graph._overview import draw_neighbourhood, neighbourhood
        from ..retrievers._atomic_file import write_atomically

        bar.report("drawing", 0, 0)
        rows = neighbourhood(index.graph, row, parsed.hops)
        named = [found.title or found.id for found in index.store.passages(rows)]
        write_atomically(parsed.svg, draw_neighbourhood(index.graph, rows, named).encode())
    if parsed.json:
        ids = {group: [found.id for found in index.store.passages(rows)] for group, rows in links.items()}
        print(json.dumps({"passage": passage.id, "title": passage.title, **ids}, indent=2))
        return
    print(_name(passage.title, passage.id))
    for group, words in _GROUPS.items():
        rows = links[group]
        print(f"{words} {len(rows)}" + (f", of which {parsed.limit}:" if len(rows) > parsed.limit else ""))
        for found in index.store.passages(rows[: parsed.limit]):
            print(f"  {_name(found.title, found.id)}")


def _name(title: str, identifier: str) -> str:
    """Return a title with the id, on one line that cannot steer a terminal."""
    from ..retrievers._svg import printable

    text = f"{title}  ({identifier})" if title and title != identifier else identifier
    return printable(" ".join(text.split()))
