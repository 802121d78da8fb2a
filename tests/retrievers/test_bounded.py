"""A cache keeps what was used last, and never more bytes than it may."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st
from trailhound.retrievers._bounded import Bounded

KEYS = st.integers(0, 6)


@given(steps=st.lists(st.tuples(KEYS, st.one_of(st.none(), st.integers(0, 9))), max_size=60), most=st.integers(0, 20))
def test_it_holds_what_a_plain_list_in_order_of_use_would(steps: list[tuple[int, int | None]], most: int) -> None:
    cache, wanted = Bounded[int, int](most, lambda value: value), OrderedDict[int, int]()
    for key, value in steps:
        if value is None:
            assert cache.get([key]) == ({key: wanted[key]} if key in wanted else {})
            if key in wanted:
                wanted.move_to_end(key)
            continue
        cache.put({key: value})
        wanted[key] = value
        wanted.move_to_end(key)
        while sum(wanted.values()) > most:
            wanted.popitem(last=False)
        assert (len(cache), cache.weight) == (len(wanted), sum(wanted.values()))
    assert cache.get(range(7)) == wanted


def test_threads_share_it() -> None:
    cache = Bounded[int, int](500, lambda value: 1)

    def use(first: int) -> bool:
        for number in range(first, first + 400):
            cache.put({number % 700: number % 700})
        return all(key == value for key, value in cache.get(range(700)).items())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(0, 1600, 100)))
    assert (len(cache), cache.weight) == (500, 500)
