"""Questions and their labels: BEIR's ``queries.jsonl`` with ``qrels/SPLIT.tsv``, and multi-hop files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import QuestionsError
from .._atomic_file import write_atomically, write_json_lines
from ..corpus._json_records import Record, decode, json_type, read_file, read_json_lines
from ..corpus._multihop import multihop_records, supporting_ids
from ..corpus._normalise import Complaints, Place, normalise
from ..knowledge._facts import GRAPH_FILE, Triple, read_triples
from ..records import LONGEST_QUESTION, Qrels, Question

_HEADER = "query-id<TAB>corpus-id<TAB>score"
_QUERIES = "queries.jsonl"


def load_questions(folder: Path, split: str, warn: Callable[[str], None] | None = None) -> tuple[list[Question], Qrels]:
    """Load the questions of one split, in the order of ``queries.jsonl``, and their labels.

    A question's answer and type come from its metadata (MuSiQue's ``hops`` stand for the type).

    Args:
        folder: has ``queries.jsonl`` and ``qrels/SPLIT.tsv``; the header line of the latter may be missing. Or a
            native HotpotQA, 2WikiMultiHopQA or MuSiQue file, see :func:`load_multihop_questions`. Or ``SPLIT.txt``
            of triples over a knowledge graph, see :func:`load_fact_questions`.
        split: which file of ``qrels`` to use; a native file is one split, whatever it is called here.
        warn: if given, an id of the split that names two different questions is left out and reported
            here, because its labels may belong to either; if not, it is an error.

    Raises:
        QuestionsError: a file or the split is missing, a line is malformed, a label is of an unknown
            question, an id names two questions; names file and line.
    """
    folder = Path(folder)
    if folder.is_file():
        return load_multihop_questions(folder)
    if has_fact_questions(folder):
        return load_fact_questions(folder, split)
    queries = folder / _QUERIES
    if not queries.is_file():
        raise QuestionsError(
            "there is no queries.jsonl: give a folder with queries.jsonl and qrels/, or a native multi-hop file", folder
        )
    splits = sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))
    if split not in splits:
        there = ", ".join(splits) or "none (expected qrels/SPLIT.tsv)"
        raise QuestionsError(f"there is no split {split!r}; splits there are: {there}", folder)
    qrels_path = folder / "qrels" / f"{split}.tsv"
    qrels, places = _read_qrels(qrels_path)
    if not qrels:
        raise QuestionsError(f"the split {split!r} has no labels: expected lines of {_HEADER}", qrels_path)
    questions = _read_split(queries, qrels, warn)
    for identifier, place in places.items():
        if identifier in qrels and identifier not in questions:
            raise QuestionsError(f"the question {identifier!r} is not in {queries}", place.path, place.line)
    return list(questions.values()), qrels


def write_questions(folder: Path, questions: Iterable[Question], splits: Mapping[str, Qrels]) -> None:
    """Write what :func:`load_questions` reads: ``qrels/SPLIT.tsv``, then ``queries.jsonl``, which comes last.

    Args:
        folder: is made; files of these names are replaced.
        questions: of all splits; answer and type become metadata.
        splits: the labels of each.

    Raises:
        StorageError: the disk cannot be written.
    """
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for split, qrels in splits.items():
        labels = (f"{query}\t{passage}\t{score}" for query in qrels for passage, score in qrels[query].items())
        write_atomically(
            folder / "qrels" / f"{split}.tsv", "\n".join([_HEADER.replace("<TAB>", "\t"), *labels, ""]).encode()
        )
    queries = []
    for question in questions:
        known = {"answer": question.answer, "type": question.type}
        metadata = {name: value for name, value in known.items() if value is not None}
        queries.append({"_id": question.id, "text": question.text, "metadata": metadata})
    write_json_lines(folder / _QUERIES, queries)


def load_multihop_questions(path: Path) -> tuple[list[Question], Qrels]:
    """Load the questions of a native HotpotQA, 2WikiMultiHopQA or MuSiQue file with labels.

    Labels name passages by the ids that ``CorpusReader`` gives the same file's contexts.

    Raises:
        QuestionsError: the file is damaged or has no labels, an id names two questions; names file and line.
    """
    complaints = Complaints(lambda message: None)  # the corpus reader warns of contexts; questions have their own
    questions: dict[str, Question] = {}
    qrels: Qrels = {}
    for record in multihop_records(Path(path), QuestionsError):
        identifier = record.identifier("id" if "id" in record.values else "_id")
        if identifier in questions:
            raise record.fail(f"the id {identifier!r} was used before: ids must be unique")
        hops = identifier.partition("__")[0] if "paragraphs" in record.values else None
        questions[identifier] = Question(
            identifier,
            _question_text(record, "question"),
            _optional(record, record.values, "answer"),
            _optional(record, record.values, "type") or hops,
        )
        qrels[identifier] = dict.fromkeys(supporting_ids(record, complaints), 1)
    if not questions:
        raise QuestionsError("holds no questions", path)
    return list(questions.values()), qrels


def _read_qrels(path: Path) -> tuple[Qrels, dict[str, Place]]:
    """Return the labels, and where each question is first named."""
    qrels: Qrels = {}
    places: dict[str, Place] = {}
    text = decode(read_file(path, QuestionsError), path, QuestionsError)
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line.strip() or (number == 1 and _is_header(line)):
            continue
        question, passage, score = _fields(line, path, number)
        scores = qrels.setdefault(question, {})
        if scores.setdefault(passage, score) != score:
            raise QuestionsError(
                f"{passage!r} has the scores {scores[passage]} and {score} for {question!r}: keep one",
                path,
                number,
            )
        places.setdefault(question, Place(path, number))
    return qrels, places


def _is_header(line: str) -> bool:
    return not any(character.isdigit() for character in line.rpartition("\t")[2])


def _fields(line: str, path: Path, number: int) -> tuple[str, str, int]:
    fields = line.split("\t")
    if len(fields) != 3 or not fields[0].strip() or not fields[1].strip():
        raise QuestionsError(f"expected {_HEADER}, found {line[:80]!r}", path, number)
    try:
        return fields[0], fields[1], int(fields[2])
    except ValueError as cause:
        raise QuestionsError(f"the score {fields[2]!r} is not a whole number", path, number) from cause


def _read_split(path: Path, qrels: Qrels, warn: Callable[[str], None] | None) -> dict[str, Question]:
    """Read the questions that have labels; ambiguous ones are taken out of ``qrels`` too."""
    questions: dict[str, Question] = {}
    lines: dict[str, int | None] = {}
    ambiguous: set[str] = set()
    for record in read_json_lines(path, QuestionsError):
        question = _question(record)
        if question.id not in qrels:
            continue
        if questions.setdefault(question.id, question) == question:
            lines.setdefault(question.id, record.place.line)
            continue
        message = f"the id {question.id!r} names another question than in line {lines[question.id]}"
        if warn is None:
            raise record.fail(f"{message}: ids must be unique")
        warn(f"{record.place}: {message}: left it out of the split")
        ambiguous.add(question.id)
    for identifier in ambiguous:
        del questions[identifier], qrels[identifier]
    return questions


def _question(record: Record) -> Question:
    metadata = record.values.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise record.fail(f"the field 'metadata' must be an object, not {json_type(metadata)}")
    kind = _optional(record, metadata, "type") or _optional(record, metadata, "hops")
    answer = _optional(record, metadata, "answer")
    return Question(record.identifier("_id"), _question_text(record, "text"), answer, kind)


def _question_text(record: Record, name: str) -> str:
    result = normalise(record.string(name))
    if result.nul_characters or result.lone_surrogates:
        raise record.fail(f"the field {name!r} has NUL characters or lone surrogates: repair the question")
    if not result.text.strip():
        raise record.fail(f"the field {name!r} is empty: a question needs a text")
    if len(result.text) > LONGEST_QUESTION:
        raise record.fail(
            f"the question has {len(result.text):,} characters, more than {LONGEST_QUESTION:,}: shorten it"
        )
    return result.text


def _optional(record: Record, values: dict[str, Any], name: str) -> str | None:
    value = values.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is not None and not isinstance(value, str):
        raise record.fail(f"the field {name!r} must be a string, not {json_type(value)}")
    return None if value is None else normalise(value).text


def has_fact_questions(folder: Path) -> bool:
    """Return whether a folder holds triples: it has a ``graph.txt``, or ``.txt`` files and no ``queries.jsonl``."""
    if (folder / "queries.jsonl").exists() or not folder.is_dir():
        return False
    return (folder / GRAPH_FILE).exists() or any(folder.glob("*.txt"))


def load_fact_questions(folder: Path, split: str) -> tuple[list[Question], Qrels]:
    """Load the questions of ``SPLIT.txt``, one a line; only tails are asked for, as MINERVA does.

    A question's text is ``head relation``, its answer the tail, its id ``SPLIT:LINE``.

    Raises:
        QuestionsError: when there is no such split, a line is malformed, or there is none.
    """
    path = folder / f"{split}.txt"
    if not path.is_file():
        there = ", ".join(sorted(found.stem for found in folder.glob("*.txt"))) or "none"
        raise QuestionsError(f"there is no split {split!r} (SPLIT.txt of triples); there are: {there}", folder)
    triples = read_triples(path, QuestionsError)
    if not triples:
        raise QuestionsError(f"the split {split!r} has no triples: expected head<TAB>relation<TAB>tail", path)
    questions = [Question(f"{split}:{triple.line}", _text(triple), triple.tail) for triple in triples]
    return questions, {q.id: {t.tail: 1} for q, t in zip(questions, triples, strict=True)}


def known_answers(folder: Path, warn: Callable[[str], None] | None = None) -> dict[str, set[str]]:
    """Return the text of every question that the folder's triples answer, with all its answers.

    What any ``.txt`` there states is true, so a ranking is not blamed for it (the filtered setting of Bordes et al.
    2013, "Translating Embeddings for Modeling Multi-relational Data", section 4.1). Files that do not hold triples
    are passed over with a warning.
    """
    answers: dict[str, set[str]] = defaultdict(set)
    for path in sorted(folder.glob("*.txt")):
        try:
            triples = read_triples(path, QuestionsError)
        except QuestionsError as error:
            if warn is not None:
                warn(f"{error}: the file is not used to filter rankings")
            continue
        for triple in triples:
            answers[_text(triple)].add(triple.tail)
    return dict(answers)


def _text(triple: Triple) -> str:
    return f"{triple.head} {triple.relation}"
