"""Values of a result that are computed when somebody first looks at them."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar

from ..retrievers._forks import PerProcess

T = TypeVar("T")


class Later(Generic[T]):
    """What ``compute`` returns; it is called once, by whoever first asks for the value, and not at all if nobody does.

    Threads may ask at the same time. Pickled and copied it is its value.
    """

    def __init__(self, compute: Callable[[], T]) -> None:
        self._compute: Callable[[], T] | None = compute
        self._lock = PerProcess(Lock)
        self._value: T

    def value(self) -> T:
        """Return the value."""
        with self._lock():
            if self._compute is not None:
                self._value = self._compute()
                self._compute = None  # and what it holds on to
            return self._value

    def __reduce__(self) -> tuple[Callable[[T], T], tuple[T]]:
        """Stand for the value."""
        return _itself, (self.value(),)


def _itself(value: T) -> T:
    return value


class LaterField(Generic[T]):
    """A field of a frozen dataclass that may be given as :class:`Later`, and always reads as the value.

    Args:
        default: where nothing is given.
    """

    def __init__(self, default: T) -> None:
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        """Keep the field's name: the value lies in the object under it."""
        self._name = name

    def __get__(self, instance: Any, owner: type) -> T:
        """Return the value, computed if need be; of the class the default, as dataclasses ask for it."""
        if instance is None:
            return self._default
        held: T | Later[T] = instance.__dict__[self._name]
        return held.value() if isinstance(held, Later) else held

    def __set__(self, instance: Any, value: T | Later[T]) -> None:
        """Take the value, or the way to it."""
        instance.__dict__[self._name] = value


def changed(instance: T, **values: Any) -> T:
    """Return a copy of a dataclass with other values; what is to be computed later stays so."""
    return type(instance)(**{**vars(instance), **values})
