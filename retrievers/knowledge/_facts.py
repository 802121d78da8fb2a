"""A knowledge graph as the index keeps it: entities, relations, facts; and what a query ``HEAD relation`` asks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import CorpusError, DamagedIndexError, QuestionsError
from .._atomic_file import load_arrays, write_json
from ..corpus._data_sets import is_graph_folder, is_triples
from ..corpus._json_records import LocatedError, decode, read_file
from ..corpus._normalise import Complaints, Place
from ..records import Document, Rows

GRAPH_FILE = "graph.txt"
"""The facts to walk on, ``head<TAB>relation<TAB>tail`` a line; beside it lie the queries, ``SPLIT.txt``."""

_ARRAYS = "facts.safetensors"
_NAMES = "names.json"
_GAP = re.compile(r"[_\s]+")


class Triple(NamedTuple):
    """One line: names, and where it stands."""

    head: str
    relation: str
    tail: str
    line: int


class FactQuery(NamedTuple):
    """What ``(head, relation, ?)`` asks: the row of the head, and the kind of edge that would answer it."""

    head: int
    kind: int


def read_triples(path: Path, error: LocatedError) -> list[Triple]:
    """Read ``head<TAB>relation<TAB>tail`` lines; blank lines are passed over.

    Raises:
        CorpusError, QuestionsError: as ``error`` says; the file cannot be read, or a line has not three names.
    """
    triples = []
    for number, line in enumerate(decode(read_file(path, error), path, error).split("\n"), start=1):
        if not line.strip():
            continue
        names = [name.strip() for name in line.removesuffix("\r").split("\t")]
        if len(names) != 3 or not all(names):
            raise error(f"expected head<TAB>relation<TAB>tail, found {line[:80]!r}", path, number)
        head, relation, tail = names
        triples.append(Triple(head, relation, tail, number))
    return triples


@dataclass(frozen=True)
class Facts:
    """Entities (their places are the passages' rows), relations and facts, each fact once.

    An edge has a kind: relation ``r`` read from head to tail is kind ``r``, read from tail to head kind
    ``len(relations) + r`` (the inverse relations that MINERVA adds; Das et al. 2018, arXiv:1711.05851, section 2).

    Attributes:
        entities, relations: names.
        heads, kinds, tails: int64 [m], every kind below ``len(relations)``.
    """

    entities: tuple[str, ...]
    relations: tuple[str, ...]
    heads: Rows
    kinds: NDArray[np.int64]
    tails: Rows

    @classmethod
    def read(cls, path: Path, warn: Callable[[str], None]) -> Facts:
        """Read a ``graph.txt``; entities and relations are numbered in the order in which they are first named.

        A fact ``_relation`` where ``relation`` is there too is the fact's inverse. Facts of an entity about itself
        are left out with a warning: no walk follows them.

        Raises:
            CorpusError: when the file cannot be read, a line is malformed, or there is no fact.
        """
        complaints = Complaints(warn)
        triples = read_triples(path, CorpusError)
        names = {triple.relation for triple in triples}
        forward: dict[tuple[str, str, str], None] = {}
        for head, relation, tail, line in triples:
            if head == tail:
                complaints.add("a fact of an entity about itself is left out", Place(path, line), f" ({head!r})")
            elif relation.startswith("_") and relation[1:] in names:
                forward[tail, relation[1:], head] = None
            else:
                forward[head, relation, tail] = None
        complaints.finish()
        if not forward:
            raise CorpusError("holds no facts: expected lines of head<TAB>relation<TAB>tail", path)
        return cls.of(forward)

    @classmethod
    def of(cls, triples: Iterable[tuple[str, str, str]]) -> Facts:
        """Number the names of distinct triples."""
        listed = list(triples)
        entities = {name: k for k, name in enumerate(dict.fromkeys(n for h, _, t in listed for n in (h, t)))}
        relations = {name: k for k, name in enumerate(dict.fromkeys(relation for _, relation, _ in listed))}
        numbers = np.array([(entities[h], relations[r], entities[t]) for h, r, t in listed], np.int64).reshape(-1, 3)
        return cls(tuple(entities), tuple(relations), *numbers.T.copy())

    def __len__(self) -> int:
        """Return the number of facts."""
        return len(self.heads)

    @property
    def kind_count(self) -> int:
        """Number of kinds of edges: each relation, read either way."""
        return 2 * len(self.relations)

    def inverse(self, kind: int) -> int:
        """Return the kind of the same edge read from its other end."""
        return (kind + len(self.relations)) % self.kind_count

    def kind_name(self, kind: int) -> str:
        """Name a kind: the relation, with ``_`` before it when it is read from tail to head."""
        count = len(self.relations)
        return self.relations[kind] if kind < count else f"_{self.relations[kind - count]}"

    @cached_property
    def _sorted_edges(self) -> tuple[Rows, NDArray[np.int64], Rows, Rows]:
        source = np.concatenate((self.heads, self.tails))
        kind = np.concatenate((self.kinds, self.kinds + len(self.relations)))
        target = np.concatenate((self.tails, self.heads))
        order = np.lexsort((target, kind, source))
        return source[order], kind[order], target[order], order % len(self)

    @property
    def edges(self) -> tuple[Rows, NDArray[np.int64], Rows]:
        """Every fact read either way: source, kind and target, int64 [2 m] each, sorted by source, kind, target."""
        return self._sorted_edges[:3]

    @property
    def edge_facts(self) -> Rows:
        """The number of the fact of each of ``edges``, int64 [2 m]."""
        return self._sorted_edges[3]

    @cached_property
    def _edge_keys(self) -> NDArray[np.int64]:
        source, kind, _ = self.edges
        return source * self.kind_count + kind

    def answers(self, query: FactQuery) -> Rows:
        """Return the entities that the facts give as answers, int64 [k], ascending."""
        key = query.head * self.kind_count + query.kind
        first, last = np.searchsorted(self._edge_keys, (key, key + 1))
        return self.edges[2][first:last]

    def number(self, query: FactQuery, answer: int) -> int | None:
        """Return the number of the fact that makes ``answer`` an answer to ``query``, None when there is none."""
        turned = query.kind >= len(self.relations)
        head, tail = (answer, query.head) if turned else (query.head, answer)
        keys, order = self._fact_keys
        key = (head * len(self.relations) + query.kind % len(self.relations)) * len(self.entities) + tail
        place = int(np.searchsorted(keys, key))
        return int(order[place]) if place < len(keys) and keys[place] == key else None

    @cached_property
    def _fact_keys(self) -> tuple[NDArray[np.int64], Rows]:
        keys = (self.heads * len(self.relations) + self.kinds) * len(self.entities) + self.tails
        order = np.argsort(keys)
        return keys[order], order

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where the edges of each entity begin in ``edges``, int64 [N + 1]."""
        return np.asarray(np.searchsorted(self.edges[0], np.arange(len(self.entities) + 1)), np.int64)

    def edges_of(self, rows: Rows) -> Rows:
        """Return the places in ``edges`` of all edges whose source is among ``rows``, int64 [k]."""
        begins = self.offsets[rows]
        counts = self.offsets[rows + 1] - begins
        return np.asarray(
            np.arange(int(counts.sum())) + np.repeat(begins - np.cumsum(counts) + counts, counts), np.int64
        )

    @cached_property
    def entity_rows(self) -> dict[str, int]:
        """The row of every entity, by its exact name."""
        return {name: row for row, name in enumerate(self.entities)}

    def knows(self, text: str) -> bool:
        """Return whether :meth:`parse` can read ``text``."""
        try:
            self.parse(text)
        except QuestionsError:
            return False
        return True

    def parse(self, text: str) -> FactQuery:
        """Read ``HEAD relation``; the names may be written with spaces for ``_``, and in any case.

        ``_relation`` asks the inverse of ``relation``.

        Raises:
            QuestionsError: when it is not the name of an entity followed by that of a relation.
        """
        words = text.split()
        for cut in range(len(words) - 1, 0, -1):
            head = self.entity_rows.get(words[0]) if cut == 1 else None
            head = self._heads.get(_plain(" ".join(words[:cut]))) if head is None else head
            kind = self._kind(" ".join(words[cut:]))
            if head is not None and kind is not None:
                return FactQuery(head, kind)
        some = ", ".join(self.relations[:5])
        raise QuestionsError(
            f"{text!r} is not an entity of the knowledge graph followed by one of its relations ({some}, ...):"
            f" ask such as {f'{self.entities[0]} {self.relations[0]}'!r}"
        )

    def _kind(self, name: str) -> int | None:
        if name in self._kinds:
            return self._kinds[name]
        if name.startswith("_"):
            return self._kinds_plain.get("_" + _plain(name))
        return self._kinds_plain.get(_plain(name))

    @cached_property
    def _heads(self) -> dict[str, int]:
        return {_plain(name): row for row, name in reversed(list(enumerate(self.entities)))}

    @cached_property
    def _kinds(self) -> dict[str, int]:
        inverse = {self.kind_name(kind): kind for kind in range(len(self.relations), self.kind_count)}
        return inverse | {name: kind for kind, name in enumerate(self.relations)}

    @cached_property
    def _kinds_plain(self) -> dict[str, int]:
        inverse = {f"_{_plain(name)}": kind + len(self.relations) for kind, name in enumerate(self.relations)}
        return inverse | {_plain(name): kind for kind, name in enumerate(self.relations)}

    def save(self, folder: Path) -> None:
        """Write the facts to ``folder``, which is made."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({"heads": self.heads, "kinds": self.kinds, "tails": self.tails}, str(folder / _ARRAYS))
        write_json(folder / _NAMES, {"entities": list(self.entities), "relations": list(self.relations)})

    @classmethod
    def load(cls, folder: Path) -> Facts:
        """Read what :meth:`save` wrote."""
        arrays = load_arrays(folder / _ARRAYS)
        try:
            names = json.loads((folder / _NAMES).read_text("utf-8"))
            entities, relations = tuple(names["entities"]), tuple(names["relations"])
            columns = [arrays[name].astype(np.int64) for name in ("heads", "kinds", "tails")]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedIndexError(f"the facts in {folder} cannot be read ({error}): build the index again") from error
        limits = (len(entities), len(relations), len(entities))
        for column, limit in zip(columns, limits, strict=True):
            if column.shape != columns[0].shape or column.ndim != 1 or ((column < 0) | (column >= limit)).any():
                raise DamagedIndexError(f"the facts in {folder} do not fit their names: build the index again")
        return cls(entities, relations, *columns)


def entity_documents(facts: Facts, source: str) -> Iterable[Document]:
    """Yield every entity as a document whose text states its facts, one sentence each, in the order of the facts."""
    stated: list[list[str]] = [[] for _ in facts.entities]
    for head, kind, tail in zip(facts.heads.tolist(), facts.kinds.tolist(), facts.tails.tolist(), strict=True):
        name = readable(facts.entities[head])
        stated[head].append(f"{name} {readable(facts.relations[kind])} {readable(facts.entities[tail])}.")
    for entity, sentences in zip(facts.entities, stated, strict=True):
        text = " ".join(sentences) or f"{readable(entity)}."
        yield Document(entity, readable(entity), text, source, atomic=True)


def mention_offsets(facts: Facts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where in the head's text of :func:`entity_documents` each fact names its tail: start, end, int64 [m]."""
    starts, ends = np.zeros(len(facts), np.int64), np.zeros(len(facts), np.int64)
    length = np.zeros(len(facts.entities), np.int64)
    for k, (head, kind, tail) in enumerate(
        zip(facts.heads.tolist(), facts.kinds.tolist(), facts.tails.tolist(), strict=True)
    ):
        before = f"{readable(facts.entities[head])} {readable(facts.relations[kind])} "
        name = readable(facts.entities[tail])
        starts[k] = length[head] + len(before)
        ends[k] = starts[k] + len(name)
        length[head] = ends[k] + 2  # the full stop, and the space before the next sentence
    return starts, ends


def readable(name: str) -> str:
    """Return a name as a text writes it: words apart."""
    return _GAP.sub(" ", name).strip() or name


def _plain(name: str) -> str:
    return readable(name).casefold()


def graph_file(paths: Sequence[Path], warn: Callable[[str], None]) -> Path | None:
    """Return the ``graph.txt`` that a corpus is, if it is one: the file itself, or a folder of triples that holds it.

    Of a folder with other documents beside ``graph.txt`` everything is read as documents, which is warned of.

    Raises:
        CorpusError: when it is one among several paths.
    """
    found = []
    for path in [path for path in paths if path.name == GRAPH_FILE and path.is_file()]:
        if is_triples(path):
            found.append(path)
        else:
            warn(f"{path}: read as a document, for its lines are not head<TAB>relation<TAB>tail")
    for folder in [path for path in paths if (path / GRAPH_FILE).is_file()]:
        if is_graph_folder(folder, GRAPH_FILE):
            found.append(folder / GRAPH_FILE)
        else:
            place = folder / GRAPH_FILE
            warn(f"{place}: read as a document, for not all beside it is a knowledge graph: to index one, name {place}")
    if not found:
        return None
    if len(paths) > 1:
        raise CorpusError("is a knowledge graph: index it alone, without other corpora", found[0])
    return found[0]
