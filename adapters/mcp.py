"""A server of the Model Context Protocol (extra ``mcp``): assistants search indexes and read their documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .. import __version__
from ..agent.search_agent import SearchAgent
from ..errors import MissingExtraError
from ..index.where import Where

try:
    from mcp.server.mcpserver import MCPServer, ResourceSecurity
    from mcp_types import ToolAnnotations

    from ._mcp_tools import ServedIndexes
except ImportError as error:
    raise MissingExtraError("mcp", "mcp", "the MCP server") from error


def create_server(agents: Mapping[str, SearchAgent], principals: Iterable[str] | None = None) -> MCPServer:
    """Return a server over indexes; ``run()`` serves stdio, ``run("streamable-http", host=..., port=...)`` HTTP.

    Args:
        agents: that search, by the names that clients call their indexes.
        principals: who asks: documents whose ``access`` names none of them are hidden; None hides nothing.
    """
    served = ServedIndexes(agents, None if principals is None else Where(principals=principals))
    about = f"Searches {', '.join(agents)}. Evidence may need several passages together; cite their uri."
    server = MCPServer("trailhound", version=__version__, instructions=about, log_level="WARNING")
    for tool in (served.search_evidence, served.read_document, served.list_documents):
        hints = ToolAnnotations(read_only_hint=True, open_world_hint=False)
        server.add_tool(tool, annotations=hints, structured_output=True)
    looked_up = ResourceSecurity(exempt_params={"document_id", "passage_id"})  # none is opened as a path
    for kind, read in (("document", served.document), ("passage", served.passage)):
        template, about = f"trailhound://{{index}}/{kind}s/{{{kind}_id}}", f"the text of a {kind}, id percent-encoded"
        server.resource(template, name=kind, description=about, mime_type="text/markdown", security=looked_up)(read)
    return server
