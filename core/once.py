"""A property that is computed once, by whichever thread comes first, while the others wait for it."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import Self, TypeVar, overload

T = TypeVar("T")
_LOCK = "_once_lock"


class once(cached_property[T]):  # noqa: N801  # it is used as a decorator, as its parent is
    """`functools.cached_property`, whose function may run in several threads at once since Python 3.12.

    One lock for all such properties of an object, which may use each other.
    """

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...
    def __get__(self, instance: object, owner: type | None = None) -> Self | T:
        """The value; asked only until it is there."""
        if instance is None:
            return self
        with instance.__dict__.setdefault(_LOCK, threading.RLock()):
            return super().__get__(instance, owner)
