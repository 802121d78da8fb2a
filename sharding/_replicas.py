"""Several replicas of a shard: the quickest is asked, another when that is slow, and the first answer counts.

A request that takes longer than most is hedged by a second one: Dean and Barroso, "The Tail at Scale", Communications
of the ACM 56 (2013).
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import count
from threading import Condition, Lock, Thread
from time import monotonic
from typing import Any, Protocol

from ..errors import ShardError
from ._shard import CHANGE, Waiting

_PATIENCE = 10.0
"""Seconds after which a shard that does not answer counts as lost."""

_OPENING = 120.0
"""Seconds that a shard has for its first answer: processes start, and open it."""

_USUAL = 0.9
"""Share of answers that come before a second replica is asked."""

_SOONEST = 0.005
"""Seconds before which no second replica is asked: a busy machine delays every answer so long."""

_UNKNOWN = 0.05
"""Seconds before a second replica is asked where too few answers tell how long they take."""

_FEW, _REMEMBERED = 20, 128
"""Answers of a method that are needed to tell, and that are remembered."""

_AVOIDED = 1.0
"""Seconds in which a replica that was lost is asked after all others."""

_LATEST = 0.2
"""Weight of the latest answer in the mean time of a replica's."""

_TRIED = 32
"""Calls of which one goes to the replica whose turn it is, however slow it was: it may be quick again."""

_HEDGES = 0.1
"""Share of the calls for which a second replica may be asked: where all are slow, more calls make them slower."""

_SAVED = 10.0
"""Second calls that may be saved up."""


class Replica(Protocol):
    """Something that answers for a shard, wherever it is."""

    def begin(self, method: str, *given: Any) -> Future[Any]:
        """Begin a method of :class:`ShardServer`; the result is a :class:`ShardError` where the replica is lost."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class ReplicatedShard:
    """A shard with replicas, which all read its folder: each answer is of the newest state that is there.

    The one is asked whose calls should be answered first, by their number and by how long its answers took lately.
    A replica that no longer has the state a call is about counts as lost for that call, so another is asked.

    Args:
        name: of its folder.
        replicas: one or more.

    Attributes:
        calls, hedged: how often it was called, and how often a second replica was asked because the first was slow.
    """

    def __init__(self, name: str, replicas: Sequence[Replica]) -> None:
        self.name, self.replicas = name, tuple(replicas)
        self.calls = self.hedged = 0
        self._lock = Lock()
        self._busy = [0] * len(self.replicas)
        self._lost_at = [-_AVOIDED] * len(self.replicas)
        self._took: dict[tuple[str, int], deque[float]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))
        self._mean: dict[tuple[str, int], float] = {}
        self._hedges = _SAVED
        self._alarms = _Alarms(name)

    def call(self, method: str, *given: Any) -> Waiting[Any]:
        """Begin a method of :class:`ShardServer`. A change is made once, by one replica."""
        asking = _Asking(self, method, given)
        asking.ask()
        with self._lock:
            self.calls += 1
            self._hedges = min(self._hedges + _HEDGES, _SAVED)
        if method == CHANGE:
            return asking.answer.result
        if len(self.replicas) > 1:
            self._alarms.at(monotonic() + self.delay(method), asking.hedge)
        return partial(self._answered, asking.answer)

    def delay(self, method: str) -> float:
        """Return after how many seconds a second replica is asked: most answers of the quickest one take less."""
        with self._lock:
            known = [sorted(self._took[method, number]) for number in range(len(self.replicas))]
        usual = [took[int(_USUAL * len(took))] for took in known if len(took) >= _FEW]
        return max(min(usual), _SOONEST) if usual else _UNKNOWN

    def close(self) -> None:
        """Let go of all replicas."""
        self._alarms.close()
        for replica in self.replicas:
            replica.close()

    def _answered(self, answer: Future[Any]) -> Any:
        patience = _PATIENCE if self._took else _OPENING
        try:
            return answer.result(patience)
        except TimeoutError as error:
            raise ShardError(f"{self.name} has not answered for {patience:g} s") from error

    def begun(self, method: str, but: Sequence[int]) -> int | None:
        """Return the replica to ask, which is busier by a call from now on; None where all were asked."""
        with self._lock:
            now = monotonic()
            left = [number for number in range(len(self.replicas)) if number not in but]
            if not left:
                return None
            means = [self._mean[method, number] for number in left if (method, number) in self._mean]
            if self.calls % _TRIED == 0 or len(means) < len(left):
                means = [1.0] * len(left)
            until = {number: (self._busy[number] + 1) * mean for number, mean in zip(left, means, strict=True)}
            first = self.calls % len(self.replicas)  # of those that are alike each is asked in its turn
            lost = {number for number in left if now - self._lost_at[number] < _AVOIDED}
            number = min(left, key=lambda one: (one in lost, until[one], (one - first) % len(self.replicas)))
            self._busy[number] += 1
            return number

    def ended(self, method: str, number: int, seconds: float, lost: bool) -> None:
        """Note that a replica has answered, or is lost."""
        with self._lock:
            self._busy[number] -= 1
            if lost:
                self._lost_at[number] = monotonic()
            else:
                self._took[method, number].append(seconds)
                mean = self._mean.setdefault((method, number), seconds)
                self._mean[method, number] = mean + _LATEST * (seconds - mean)

    def may_hedge(self) -> bool:
        """Return whether a second replica may be asked because the first is slow, which is then counted."""
        with self._lock:
            if self._hedges < 1:
                return False
            self._hedges -= 1
            self.hedged += 1
            return True


class _Asking:
    """One call, of which several replicas may be asked.

    Attributes:
        answer: the first that comes; an error once every replica that was asked has none and no other is left.
    """

    def __init__(self, shard: ReplicatedShard, method: str, given: Sequence[Any]) -> None:
        self.answer: Future[Any] = Future()
        self._shard, self._method, self._given = shard, method, given
        self._lock = Lock()
        self._asked: list[int] = []
        self._waiting = 0

    def ask(self) -> bool:
        """Ask the next replica; returns whether there is one."""
        with self._lock:
            number = self._shard.begun(self._method, self._asked)
            if number is None:
                return False
            self._asked.append(number)
            self._waiting += 1
        began = monotonic()
        self._shard.replicas[number].begin(self._method, *self._given).add_done_callback(
            partial(self._answered, number, began)
        )
        return True

    def hedge(self) -> None:
        """Ask a second replica unless the first has answered."""
        others = len(self._asked) < len(self._shard.replicas)
        if not self.answer.done() and others and self._shard.may_hedge():
            self.ask()

    def _answered(self, number: int, began: float, answered: Future[Any]) -> None:
        error = answered.exception()
        lost = isinstance(error, ShardError)
        self._shard.ended(self._method, number, monotonic() - began, lost)
        with self._lock:
            self._waiting -= 1
        if lost and self._method != CHANGE and self.ask():
            return
        with self._lock:
            if self.answer.done() or (lost and self._waiting):
                return
            if error is None:
                self.answer.set_result(answered.result())
            else:
                self.answer.set_exception(error)


class _Alarms:
    """Calls what is to be called at its time, in a thread of its own.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = Condition()
        self._set: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._thread: Thread | None = None
        self._closed = False

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Call something at a time of :func:`monotonic`."""
        with self._changed:
            if self._thread is None:
                self._thread = Thread(target=self._run, name=f"hedging {self._name}", daemon=True)
                self._thread.start()
            heapq.heappush(self._set, (when, next(self._numbers), call))
            if self._set[0][2] is call:
                self._changed.notify()

    def close(self) -> None:
        """End the thread; what was to be called is not."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (call := self._next()) is not None:
            call()

    def _next(self) -> Callable[[], None] | None:
        """Wait for the next call; None once this is closed."""
        with self._changed:
            while not self._closed:
                left = self._set[0][0] - monotonic() if self._set else None
                if left is not None and left <= 0:
                    return heapq.heappop(self._set)[2]
                self._changed.wait(left)
            return None
