"""Titles with changes are found as by a matcher over all titles that are left."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound.retrievers.changing.live_titles import TitleAdditions, live_titles
from trailhound.retrievers.changing.snapshot import Snapshot
from trailhound.retrievers.words.titles import TitleMatcher, TitleMention

WORDS = ["New", "York", "Times", "Help!", "Marl (town)", "Ada", "The Old York", "John F. Kennedy", "Lake, Duke of York"]
titles = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
TEXT = (
    "We saw New York Times and the Old York with John Kennedy, then Ada Marl of New York. Help! in Ada York Times,"
    " Lake of York, the Duke of York, John F. Kennedy New York and York."
)


def renumbered(mentions: list[TitleMention], rows: list[int]) -> list[tuple[tuple[int, ...], int, int, str, bool]]:
    return [
        (tuple(sorted(rows[row] for row in mention.rows)), mention.start, mention.end, mention.kind, mention.exact)
        for mention in mentions
    ]


@settings(deadline=None)  # a busy machine takes its time
@given(st.lists(titles, max_size=6), st.lists(titles, max_size=6), st.sets(st.integers(0, 11)))
def test_as_a_matcher_over_what_is_left(base: list[str], added: list[str], dead: set[int]) -> None:
    everything = base + added
    died = {row: 1 for row in dead if row < len(everything)}
    additions = TitleAdditions()
    for row, title in enumerate(added, len(base)):
        additions.add(row, title)
    additions.add(len(everything), "Ada")  # later than the snapshot
    rows = [row for row in range(len(everything)) if row not in died]
    snapshot = Snapshot(len(base), len(everything), 1, len(rows), len(rows), died)
    live = live_titles(TitleMatcher(base), additions, snapshot)
    anew = TitleMatcher([everything[row] for row in rows])
    same = list(range(len(everything)))
    assert renumbered(live.find(TEXT), same) == renumbered(anew.find(TEXT), rows)
    for question in (TEXT, TEXT.lower()):
        assert renumbered(live.find_in_question(question), same) == renumbered(anew.find_in_question(question), rows)


def test_a_name_that_comes_to_fit_too_many_names_none() -> None:
    base = TitleMatcher(["Ada Marl"] * 8 + ["Tom Reed"] * 9)
    additions = TitleAdditions()
    additions.add(17, "Ada Marl")
    additions.add(18, "Tom Reed")
    nine = live_titles(base, additions, Snapshot(17, 18, 1, 18, 18, {}))
    assert nine.find("It was Ada Marl and Tom Reed.") == []
    died: dict[int, int] = {}
    eight = live_titles(base, additions, Snapshot(17, 17, 1, 17, 17, died))
    assert [mention.rows for mention in eight.find("It was Ada Marl.")] == [tuple(range(8))]
    died |= dict.fromkeys(range(8, 17), 1)
    crowded = live_titles(base, additions, Snapshot(17, 19, 1, 10, 10, died))
    assert crowded.find("It was Tom Reed.") == []  # too many in the base: until the index is compacted


def test_without_changes_the_base_is_asked_alone() -> None:
    base = TitleMatcher(["Ada Marl"])
    live = live_titles(base, TitleAdditions(), Snapshot(1, 1, 0, 1, 1, {}))
    assert live.table(folded=False).entries("Ada Marl") is base.table(folded=False).entries("Ada Marl")
    assert live.table(folded=True).crowded == set()
