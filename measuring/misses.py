"""Explains what a policy misses on labelled questions: every miss, the one stage that it is due to, and a chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agent._fixed_systems import Ranked
from ..agent._open_agent import READ
from ..agent._reranking import new_order, open_reranker
from ..agent._systems import PolicySystem, open_system
from ..agent.reader._extractive import ExtractiveReader
from ..agent.reader._language_models import answering_reader
from ..envs._question_set import meets_of
from ..errors import PolicyError, QuestionsError
from ..index.index import Index
from ..retrievers._atomic_file import write_atomically
from ..retrievers._svg import svg_bar, svg_picture, svg_text
from ..retrievers.protocols import Progress, Reranker
from ..retrievers.questions._label_targets import SettledLabels, meant, settle_labels, settle_names
from ..retrievers.questions._labelled import load_questions
from ..retrievers.questions._left_out import load_left_out
from ..retrievers.records import Question, Rows
from ._judged import Judging
from ._miss_stages import STAGES, Finding, Searched, SearchTrace, attribute, reading_finding

Reachable = Callable[[str], NDArray[np.bool_]]
"""A router's account of a question: which rows lie in the shards that are searched for it, bool [passages]."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A supporting passage that is not among the first five, or a wrong answer whose evidence is complete.

    Attributes:
        question_id, question: whose.
        passage: id, as it is labelled; empty for an answer.
        title: of the passage, or the beginning of its text; for an answer, the right one.
        stage: one of ``STAGES``.
        cause: within the stage, in a few words.
        happened: what happened, in words.
    """

    question_id: str
    question: str
    passage: str
    title: str
    stage: str
    cause: str
    happened: str


@dataclass(frozen=True, slots=True)
class MissReport:
    """What a policy missed, and why.

    Attributes:
        system: which policy.
        questions: how many were asked.
        supporting: labelled supporting passages of all questions.
        judged_answers: questions with all evidence among the first five and a known answer.
        misses: in the order of the questions.
    """

    system: str
    questions: int
    supporting: int
    judged_answers: int
    misses: tuple[Miss, ...]

    def counts(self) -> dict[str, dict[str, int]]:
        """Return stage -> cause -> misses, in the order of the pipeline, the commonest cause first."""
        counted = {stage: Counter(miss.cause for miss in self.misses if miss.stage == stage) for stage in STAGES}
        return {stage: dict(causes.most_common()) for stage, causes in counted.items()}

    def examples(self, most: int) -> list[Miss]:
        """Return at most ``most`` misses of each stage, of different causes where there are several."""
        chosen: list[Miss] = []
        for stage in STAGES:
            seen: Counter[str] = Counter()
            queued = []
            for place, miss in enumerate(miss for miss in self.misses if miss.stage == stage):
                queued.append((seen[miss.cause], place, miss))
                seen[miss.cause] += 1
            chosen += [miss for _, _, miss in sorted(queued, key=lambda one: one[:2])[:most]]
        return chosen

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain lists, dictionaries, strings and numbers."""
        total = len(self.misses)
        stages = {
            stage: {
                "count": sum(causes.values()),
                "share": sum(causes.values()) / total if total else 0.0,
                "causes": causes,
            }
            for stage, causes in self.counts().items()
        }
        return {
            "system": self.system,
            "questions": self.questions,
            "supporting_passages": self.supporting,
            "answers_with_complete_evidence": self.judged_answers,
            "total": total,
            "stages": stages,
            "misses": [asdict(miss) for miss in self.misses],
        }


def explain_misses(
    index: Index | Path | str,
    questions: Path | str,
    split: str,
    *,
    policy: Path | str | None = None,
    reranker: Path | str | None = None,
    reachable: Reachable | None = None,
    warn: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> MissReport:
    """Search every question of a split, one at a time as :func:`evaluate` does, and say why what is missing is missing.

    Args:
        index: an opened index, or the folder of one.
        questions: a folder with ``queries.jsonl`` and ``qrels/SPLIT.tsv``, or a native multi-hop file.
        split: which of its splits.
        policy: the folder of a trained policy; the shipped one when None.
        reranker: the folder of a re-ranker, for the last step.
        reachable: what a router leaves of the index for a question; the shards of the index's own router when None.
        warn: called with each warning: ambiguous question ids are left out.
        progress: called with (stage, done, total).

    Raises:
        QuestionsError: when the split cannot be read, or the index has nothing that its labels name.
        PolicyError: when there is no policy for this index, or the index is a knowledge graph.
    """
    opened = index if isinstance(index, Index) else Index.open(index)
    if opened.facts is not None:
        raise PolicyError(f"{opened.path} is a knowledge graph: what is missed in texts is explained, not in facts")
    chosen = None if policy is None else Path(policy)
    system = open_system(opened, "policy", chosen)
    assert isinstance(system, PolicySystem)  # what the name stands for
    opened_reranker = None if reranker is None else open_reranker(Path(reranker), opened)
    asked, qrels = load_questions(Path(questions), split, warn)
    settled = settle_labels(opened.store, qrels)
    labels = {item.id: [name for name, label in settled.qrels[item.id].items() if label > 0] for item in asked}
    reachable = _within_shards(opened) if reachable is None else reachable
    judging = Judging(settled, settle_names(opened.store, load_left_out(Path(questions))))
    explainer = _Explainer(opened, system, opened_reranker, answering_reader(chosen), reachable, settled, judging)
    explainer.check_labels(Path(questions))
    misses: list[Miss] = []
    for number, question in enumerate(asked, start=1):
        misses += explainer.misses(question, labels[question.id])
        if progress is not None:
            progress("explaining misses", number, len(asked))
    supporting = sum(map(len, labels.values()))
    return MissReport(system.name, len(asked), supporting, explainer.judged_answers, tuple(misses))


def _within_shards(index: Index) -> Reachable | None:
    routing = index.routing
    return None if routing is None else lambda question: routing.reachable(index.query(question), len(index))


@dataclass
class _Explainer:
    """Searches one question after the other, and explains what is missing."""

    index: Index
    system: PolicySystem
    reranker: Reranker | None
    reader: ExtractiveReader | None
    reachable: Reachable | None
    labels: SettledLabels
    judging: Judging
    judged_answers: int = 0

    def check_labels(self, questions: Path) -> None:
        """Refuse labels that speak of another corpus.

        Raises:
            QuestionsError: when the index has neither a passage nor a document of any of their names.
        """
        unmatched = self.labels.unmatched
        if unmatched and len(unmatched) == self.labels.supporting:
            raise QuestionsError(
                f"the index {self.index.path} has none of the {len(unmatched)} labelled passages and documents (such as"
                f" {unmatched[0]!r}): give the index of the corpus that the labels speak of",
                questions,
            )

    def misses(self, question: Question, labels: Sequence[str]) -> list[Miss]:
        """Return what is missed of one question."""
        store = self.index.store
        found = {name: self._absent(name) for name in labels if name not in self.labels.targets}
        searched, ranked = self._search(question)
        gold: dict[int, list[str]] = {}
        for name in labels:
            if name not in found:
                gold.setdefault(self._standing(searched, name), []).append(name)
        if self.reachable is not None:
            inside = self.reachable(question.text)
            searched = replace(searched, outside=frozenset(row for row in gold if not inside[row]))
        for row, finding in attribute(searched, list(gold)).items():
            found |= dict.fromkeys(gold[row], finding)
        misses = [_miss(question, name, self._title(name), found[name]) for name in labels if name in found]
        if labels and not misses and question.answer and self.reader is not None:
            self.judged_answers += 1
            read = store.passages(ranked.to_read(READ).tolist())
            answer = self.reader.answer(question.text, read)
            wrong = reading_finding(question.answer, answer, read, store.passages(list(gold)))
            if wrong is not None:
                misses.append(_miss(question, "", question.answer, wrong))
        return misses

    def _search(self, question: Question) -> tuple[Searched, Ranked]:
        world, trace = self.system.world(question.text), SearchTrace()
        ranked = self.system.rank_worlds([world], world.settings.max_candidates, trace)[0]
        ranking = self._judged(question, ranked.rows)
        if self.reranker is not None:
            order = new_order(self.reranker, self.index, question.text, ranked.rows, ranked.scores)
            ranked = replace(ranked, rows=ranked.rows[order])
        return Searched(world, trace, ranking, self._judged(question, ranked.rows), frozenset()), ranked

    def _judged(self, question: Question, rows: Rows) -> tuple[int, ...]:
        """Return the rows of a ranking that count for something: of a document that is judged, the first passage."""
        ranking = rows.tolist()
        named = self.judging.names(question.id, self.index.store.passages(ranking))
        return tuple(row for row, names in zip(ranking, named, strict=True) if names)

    def _standing(self, searched: Searched, name: str) -> int:
        """Return the row that stands for a label: the one ranked best, else the one nearest to the question."""
        rows = self.labels.targets[name].rows
        ranked = [row for row in searched.final if row in rows]
        if ranked:
            return ranked[0]
        vector = searched.world.view.vector
        return next(iter(meets_of(self.index, [self.labels.targets[name]], vector).values()))

    def _title(self, name: str) -> str:
        target = self.labels.targets.get(name)
        if target is None:
            return name
        passage = self.index.store.passage(target.rows[0])
        return passage.title or passage.text[:60]

    def _absent(self, name: str) -> Finding:
        hint = meant(self.index.store, name)
        return Finding("chunking", "not in the index", f"the index has no passage and no document {name!r}{hint}")


def _miss(question: Question, passage: str, title: str, finding: Finding) -> Miss:
    return Miss(question.id, question.text, passage, title, finding.stage, finding.cause, finding.happened)


_LEFT, _TOP = 200, 76
_SPAN = 420
"""Width of a bar that stands for all misses."""
_STAGE, _CAUSE, _GAP = 24, 18, 8
"""Heights of the bar of a stage and of a cause, and what is left free between stages."""
_COLOURS = {
    "chunking": "#79706e",
    "routing": "#b279a2",
    "retrieval": "#4c78a8",
    "policy": "#54a24b",
    "reranking": "#e0a030",
    "reading": "#d1605e",
}


def write_misses(path: Path, report: MissReport) -> None:
    """Write the figure of a report."""
    write_atomically(path, draw_misses(report).encode())


def draw_misses(report: MissReport) -> str:
    """Return the figure: for each stage a bar as long as its share of all misses, and below it one for each cause."""
    total = len(report.misses)
    parts: list[str] = []
    top = float(_TOP)
    for stage, causes in report.counts().items():
        colour = _COLOURS[stage]
        parts += _bar(top, _STAGE - 4, stage, sum(causes.values()), total, colour, 'font-weight="bold"')
        top += _STAGE
        for cause, number in causes.items():
            parts += _bar(top, _CAUSE - 6, cause, number, total, colour, 'font-size="11" fill="#555"', 0.5)
            top += _CAUSE
        top += _GAP
    passages = sum(bool(miss.passage) for miss in report.misses)
    about = (
        f"{report.questions} questions: {passages} of {report.supporting} supporting passages missed,"
        f" {total - passages} of {report.judged_answers} answers wrong on complete evidence"
    )
    system = report.system if len(report.system) <= 60 else f"{report.system[:59]}…"
    head = [
        svg_text(20, 26, f"What was missed: {system}", 'font-size="14" font-weight="bold"'),
        svg_text(20, 48, about, 'fill="#555"'),
        f'<path d="M{_LEFT} {_TOP - 10} V{top + 4:.0f}" stroke="#888"/>',
    ]
    return svg_picture(_LEFT + _SPAN + 120, top + 16, [*head, *parts])


def _bar(
    top: float, height: int, name: str, count: int, total: int, colour: str, text: str, opacity: float = 1.0
) -> list[str]:
    """Return a bar with its name on the left, and its count and share on the right."""
    share = count / total if total else 0.0
    middle = top + height / 2 + 4
    return [
        svg_text(_LEFT - 10, middle, name, f'text-anchor="end" {text}'),
        svg_bar(_LEFT, top, _SPAN * share, height, colour, f'fill-opacity="{opacity}"'),
        svg_text(_LEFT + _SPAN * share + 8, middle, f"{count} ({100 * share:.1f} %)", text),
    ]
