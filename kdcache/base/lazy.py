"""A value that is computed when it is first read and then kept: `functools.cached_property` without its lock.

On Python 3.11 that lock belongs to the class: a process forked while another thread holds it inherits the held lock and
waits for ever. Here two threads that read at the same moment may both compute; both get the value that was stored first.
"""

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

Value = TypeVar("Value")


class lazy(Generic[Value]):
    """Turn a method without arguments into an attribute that is computed once."""

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Value: ...
    def __get__(self, instance: object | None, owner: type | None = None) -> Self | Value:
        if instance is None:
            return self
        kept: dict[str, Value] = instance.__dict__
        return kept.setdefault(self._name, self._compute(instance))  # setdefault of a dict is atomic
