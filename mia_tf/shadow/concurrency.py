"""What several threads share: how work is handed to them, and what is computed once whichever of them asks first."""

from collections.abc import Callable, Iterable
from itertools import starmap
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar, overload

Run = Callable[[Callable, Iterable[tuple]], Iterable]
"""(work, the arguments of each task) -> the results, in order.

Several threads may work at the same time, each on another task. Nothing need be done before the results are asked for.
A task must not run others: all threads could be waiting for it.
"""
one_by_one: Run = starmap
"""Runs everything in the thread that asks."""

Value = TypeVar("Value")


class once(Generic[Value]):
    """A method as a property that is computed when it is first asked for, and only once, whichever thread asks.

    As `functools.cached_property`, which either makes all objects of a class wait for one another (Python 3.11) or
    lets two threads compute the same (3.12). Here the threads that ask one object wait for one another.

    Example:
        >>> class Circle:
        ...     @once
        ...     def area(self):
        ...         print("computed")
        ...         return 3
        >>> circle = Circle()
        >>> circle.area + circle.area
        computed
        6
    """

    def __init__(self, compute: Callable[..., Value]):
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "once[Value]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...
    def __get__(self, instance, owner):
        if instance is None:
            return self
        known = instance.__dict__
        lock = "_computing_" + self._name
        with known.setdefault(lock, Lock()):  # one step: threads that ask at the same time get the same lock
            if self._name not in known:
                known[self._name] = self._compute(instance)  # found there from now on, without this method
            known.pop(lock, None)  # no object with a lock can be pickled
            return known[self._name]

    if TYPE_CHECKING:  # the value may be given instead

        def __set__(self, instance: object, value: Value) -> None: ...
