"""Says in words what an action of a search does, and why the policy could know."""

from __future__ import annotations

import numpy as np

from ..envs._batch import SearchBatch
from ..envs._lane import Lane
from ..envs._nearness import similarity
from ..envs._world import QuestionWorld
from ..envs.settings import FOUND_BY, PAIR, STATIC, SUB_INDEXES
from ..graph._knowledge_graph import GROUPS
from ..retrievers.records import Passage

_PAIR = {name: k for k, name in enumerate(PAIR)}
_STATIC = {name: k for k, name in enumerate(STATIC)}
_FOUND = len(STATIC)
_HOPS = {
    "mentions": "follow what {title} mentions",
    "mentioned_by": "follow what mentions {title}",
    "shares": "follow the names and phrases that {title} shares",
    "adjacent": "read on before and after {title}",
}


def explain(batch: SearchBatch, lane: int, action: int) -> tuple[str, str]:
    """Return (what the action does, why it was open to the policy), before it is done."""
    kind, first, second = batch.layout.decode(action)
    state = batch.lane(lane)
    if kind == "stop":
        return "stop", _why_stop(state, batch.settings.max_evidence)
    if kind == "expand":
        given = _title(state, state.state) if state.evidence else ""
        return expand_words(first, given, state.pages.get((first, state.state), 0)), _so_far(state)
    if kind == "hop":
        slot = state.evidence[first]
        title = _title(state, slot)
        leads = int(state.world.hop_degrees(int(state.places[slot]))[second])
        return hop_words(second, title), f"{title} was taken, and leads to {_counted(leads, 'passage')} this way"
    return f"take {_title(state, first)}", _why_take(batch, lane, state, first)


def _so_far(state: Lane) -> str:
    """Say what there is before a step."""
    if not state.count:
        return "nothing is in view yet"
    left = state.count - len(state.evidence)
    if not state.evidence:
        return f"of {_counted(left, 'passage')} in view none is taken yet"
    return f"{_counted(len(state.evidence), 'passage')} taken so far, {left} more in view"


def _why_stop(state: Lane, most: int) -> str:
    """Say where a search stops; whether the evidence is complete is for its confidence to say."""
    if not state.count:
        return "nothing came into view"
    left = state.count - len(state.evidence)
    if not state.evidence:
        return f"none of {_counted(left, 'passage')} in view was worth taking"
    if len(state.evidence) == most:
        return f"{_counted(most, 'passage')} taken, and there is no room for more"
    return f"{_counted(len(state.evidence), 'passage')} taken; no further step promised more than its price"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def expand_words(sub_index: int, given: str, page: int) -> str:
    """Say which page of a sub-index is asked for, and the title of the latest evidence, "" for none."""
    after = f", given {given}" if given else ""
    again = f", page {page + 1}" if page else ""
    if SUB_INDEXES[sub_index] == "feedback":
        return f"ask again with what the first passages add{again}"
    return f"ask the {SUB_INDEXES[sub_index]} index{after}{again}"


def hop_words(group: int, title: str) -> str:
    """Say which edges are followed from the evidence of a title."""
    return _HOPS[GROUPS[group]].format(title=title)


def _why_take(batch: SearchBatch, lane: int, state: Lane, slot: int) -> str:
    """Give the most telling sign that the features hold for a candidate."""
    features = batch.observation["candidates"][lane, slot]
    beside = [(batch.observation["links"][lane, k, slot], taken) for k, taken in enumerate(state.evidence)][::-1]
    for pair, taken in beside:
        if pair[_PAIR["mentioned"]] or pair[_PAIR["mentioned_alias"]]:
            return f"{_title(state, taken)} mentions it"
        if pair[_PAIR["mentions"]]:
            return f"it mentions {_title(state, taken)}"
    if features[_STATIC["named_exactly"]] or features[_STATIC["named"]]:
        return "the question names it"
    if features[_STATIC["named_alias"]]:
        return "the question names it by another name"
    for pair, taken in beside:
        if pair[_PAIR["adjacent"]]:
            return f"it stands beside {_title(state, taken)}"
        if pair[_PAIR["shares"]]:
            return f"it shares a name or phrase with {_title(state, taken)}"
    found = features[_FOUND : _FOUND + len(FOUND_BY)]
    best = int(np.argmax(found))
    row = state.world.rows[state.places[slot : slot + 1]]
    cosine = float(similarity(state.world.index, row, state.world.view.vector)[0])
    rank = round(1 / max(float(found[best]), 1e-3))
    return f"{FOUND_BY[best]} rank {rank}, cosine {cosine:.2f} with the question"


def _title(state: Lane, slot: int) -> str:
    return title_of(state.world, state.world.rows[state.places[slot]])


def title_of(world: QuestionWorld, row: int | np.int64) -> str:
    """Return what to call the passage of a row."""
    return titled(world.index.store.passage(int(row)))


def titled(passage: Passage) -> str:
    """Return what to call a passage."""
    return f"“{passage.title or passage.text[:50]}”"
