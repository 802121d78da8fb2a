"""What stays behind when a process forks: threads, locks that they hold, engines and connections are made anew.

A forked process has one thread, the one that forked. Whatever waits for another waits for ever. So locks and engines
that a search needs are kept as :class:`PerProcess`, and no fork cuts what is done inside :class:`Uncut`.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from functools import cached_property
from threading import Lock, RLock, get_ident
from typing import Any, Generic, TypeVar
from weakref import ref

T = TypeVar("T")

LONGEST_WAIT = 5.0
"""Seconds that a fork waits for calls that it must not cut; they take milliseconds, unless a disk hangs."""

_PAUSE = 0.0005


class _Process:
    """What is known of this process.

    Attributes:
        forks: how many forks lie between the first process and this one.
        making: held while something is made anew.
        uncut: threads that are inside a call that must not be cut.
        forking: the thread whose fork waits for them, or is under way; 0 for none.
        fork: held until it is done.
        left_behind: what must never be destroyed in a forked process.
    """

    def __init__(self) -> None:
        self.forks = 0
        self.making = RLock()
        self.uncut = set[int]()
        self.forking = 0
        self.fork = Lock()
        self.left_behind: dict[int, ref[PerProcess[Any]]] = {}

    def wait(self) -> None:
        """Wait until no other thread is inside a call that must not be cut, and let none begin."""
        self.fork.acquire()
        self.forking = get_ident()
        until = time.monotonic() + LONGEST_WAIT
        while self.uncut - {get_ident()} and time.monotonic() < until:
            time.sleep(_PAUSE)

    def go_on(self) -> None:
        """Let calls begin again."""
        self.forking = 0
        self.fork.release()

    def begin(self) -> None:
        """Begin as a forked process."""
        self.forks += 1
        self.making, self.fork, self.forking = RLock(), Lock(), 0
        self.uncut &= {get_ident()}
        for held in list(self.left_behind.values()):
            if (one := held()) is not None:
                # One reference too many: a destructor would wait for threads that are not there.
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(one.left))
        _renew_cached_properties()


_PROCESS = _Process()


class PerProcess(Generic[T]):
    """What ``make`` returns; after a fork it is made anew, when it is next asked for.

    Args:
        make: makes it; holds no reference to whoever holds this.
        left_behind: the old one is never destroyed in a forked process, because its destructor would hang.
    """

    def __init__(self, make: Callable[[], T], left_behind: bool = False) -> None:
        self._make = make
        self.left = make()
        self._forks = _PROCESS.forks
        if left_behind:
            key = id(self)
            _PROCESS.left_behind[key] = ref(self, lambda _: _PROCESS.left_behind.pop(key, None))

    def __call__(self) -> T:
        """Return that of this process."""
        if self._forks != _PROCESS.forks:
            with _PROCESS.making:
                if self._forks != _PROCESS.forks:
                    self.left = self._make()
                    self._forks = _PROCESS.forks
        return self.left

    def is_of_this_process(self) -> bool:
        """Return whether what there is was made in this process."""
        return self._forks == _PROCESS.forks


class Uncut:
    """A block that no fork cuts: a library may hold a lock of the whole process there. Such blocks never nest."""

    def __enter__(self) -> None:
        """Begin, once no fork is under way."""
        me = get_ident()
        _PROCESS.uncut.add(me)
        while _PROCESS.forking not in (0, me):
            _PROCESS.uncut.discard(me)
            with _PROCESS.fork:
                pass
            _PROCESS.uncut.add(me)

    def __exit__(self, *_: object) -> None:
        """Let a fork go on."""
        _PROCESS.uncut.discard(get_ident())


def is_forked() -> bool:
    """Return whether this process was forked from one that had loaded Trailhound."""
    return _PROCESS.forks > 0


def _renew_cached_properties() -> None:
    """Give cached properties new locks: until Python 3.12 they have one each, which another thread may have held."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] != __name__.partition(".")[0]:
            continue
        for kind in list(vars(module).values()):
            if isinstance(kind, type):
                for found in list(vars(kind).values()):
                    if isinstance(found, cached_property) and hasattr(found, "lock"):
                        found.lock = RLock()


os.register_at_fork(before=_PROCESS.wait, after_in_parent=_PROCESS.go_on, after_in_child=_PROCESS.begin)
