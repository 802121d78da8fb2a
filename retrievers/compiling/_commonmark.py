"""What opens a block in a Markdown text, found by the rules of markdown-it-py, each asked of the lines it can begin."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock

    Rule = Callable[[StateBlock, int, int, bool], bool]

_KEPT = (
    *("paragraph_open", "heading_open", "fence", "code_block", "html_block", "hr", "table_open"),
    *("list_item_open", "bullet_list_open", "ordered_list_open", "blockquote_open"),
)
_BEGINNINGS = {
    "fence": "`~",
    "blockquote": ">",
    "hr": "*-_",
    "list": "*-+0123456789",
    "html_block": "<",
    "heading": "#",
}
"""The characters that a line begins with to which a rule may apply; every other rule applies to any line."""


class Opening:
    """A token of the parser that opens a block, or is one.

    Attributes:
        type, tag: as markdown-it names them.
        level: of how many others it stands in.
        map: its lines, ``[first, last + 1]``.
    """

    __slots__ = ("attrs", "children", "content", "hidden", "info", "level", "map", "markup", "meta", "tag", "type")
    map: list[int]

    def __init__(self, type_: str, tag: str, level: int) -> None:
        self.type = type_
        self.tag = tag
        self.level = level


def openings_of(text: str) -> tuple[list[Opening], list[int]]:
    """Return what opens a block, in order, and where every line begins; a last one is the end of the text.

    Args:
        text: lines that end in "\\n".
    """
    from markdown_it.rules_block import StateBlock

    found: list[Opening] = []
    unread = Opening("", "", 0)

    class State(StateBlock):
        """Keeps only what opens a block: all that a text of "# " alone gives is a hundred times its size."""

        def push(self, ttype: str, tag: str, nesting: int) -> Any:
            self.level -= nesting < 0
            token = unread
            if ttype in _KEPT:
                token = Opening(ttype, tag, self.level)
                found.append(token)
            self.level += nesting > 0
            return token

    parser = _parser()
    state = State(text, parser, {}, [])
    starts = list(state.bMarks)  # the parser moves them for a while
    parser.block.tokenize(state, 0, state.lineMax)
    return found, starts


def words_of_inline(text: str) -> str:
    """Return what a reader sees of a line: without the marks of emphasis, code, links and tags."""
    (inline,) = _parser().parseInline(text)
    seen = [token for token in inline.children or () if token.type != "html_inline"]
    return "".join(" " if token.type in ("softbreak", "hardbreak") else token.content for token in seen)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table").disable("reference")
    parser.block.ruler.at("table", _whole_table, {"alt": ["paragraph", "reference"]})
    parser.block.ruler = _RulesByCharacter(parser)  # type: ignore[assignment]
    return parser


class _RulesByCharacter:
    """Stands in for the parser's list of rules: asks those alone that the first character of a line allows.

    Most lines are prose, to which nine rules of twelve cannot apply; asking them was most of the parser's time.
    """

    def __init__(self, parser: MarkdownIt) -> None:
        self._ruler = parser.block.ruler
        names = {rule.fn: rule.name for rule in self._ruler.__rules__}
        self._chains: dict[str, list[Rule]] = {}
        for chain in ("", "paragraph", "reference", "blockquote", "list"):
            rules = [(names[rule], rule) for rule in self._ruler.getRules(chain)]
            self._chains[chain] = [_dispatcher(rules)]

    def getRules(self, chain: str = "") -> list[Rule]:  # noqa: N802
        """Return the rules of a chain, as one."""
        return self._chains[chain]

    def get_active_rules(self) -> list[str]:
        """Return the names of the rules."""
        return self._ruler.get_active_rules()


def _dispatcher(rules: list[tuple[str, Rule]]) -> Rule:
    """Return the first of the rules that applies, as one rule."""
    anywhere = [rule for name, rule in rules if name not in _BEGINNINGS]
    by_character = {
        character: [rule for name, rule in rules if character in _BEGINNINGS.get(name, character)]
        for character in "".join(_BEGINNINGS.values())
    }

    def first_that_applies(state: StateBlock, first: int, last: int, silent: bool) -> bool:
        begin = state.bMarks[first] + state.tShift[first]
        for rule in by_character.get(state.src[begin : begin + 1], anywhere):  # noqa: SIM110 (called for every line)
            if rule(state, first, last, silent):
                return True
        return False

    return first_that_applies


def _whole_table(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """Find a table as the rule of the library does, without taking its cells apart."""
    from markdown_it.rules_block.table import table

    if first + 2 > last or not _may_delimit(state, first + 1) or not table(state, first, last, True):
        return False
    if not silent:
        line = first + 2
        while line < last and not _ends_table(state, line, last):
            line += 1
        state.push("table_open", "table", 1).map = [first, line]
        state.push("table_close", "table", -1)
        state.line = line
    return True


def _may_delimit(state: StateBlock, line: int) -> bool:
    begin = state.bMarks[line] + state.tShift[line]
    return state.src[begin : begin + 1] in ("|", "-", ":")


def _ends_table(state: StateBlock, line: int, last: int) -> bool:
    if state.sCount[line] < state.blkIndent or state.isEmpty(line) or state.is_code_block(line):
        return True
    return any(rule(state, line, last, True) for rule in state.md.block.ruler.getRules("blockquote"))
