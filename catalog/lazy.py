"""Attributes computed, and modules imported, on first use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from threading import RLock
from typing import Any, Generic, TypeVar, overload

Value = TypeVar("Value")
# Guards the creation of the locks of instances, which takes no time.
_CREATION = RLock()


class lazy(Generic[Value]):  # noqa: N801 - a decorator, as `property` is
    """A property computed once per instance.

    `functools.cached_property` has no lock from Python 3.12 on: threads that come at once would each load the network.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazy[Value]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...
    def __get__(self, instance: object | None, owner: type) -> lazy[Value] | Value:
        if instance is None:
            return self
        attributes = instance.__dict__
        # A value in the instance's dictionary shadows this descriptor, so later reads never come here.
        with _lock_of(attributes):
            if self._name not in attributes:
                attributes[self._name] = self._compute(instance)
            value: Value = attributes[self._name]
            return value


def _lock_of(attributes: dict[str, Any]) -> Any:
    with _CREATION:
        return attributes.setdefault("_lazy_lock", RLock())


def submodules(package: str) -> Callable[[str], Any]:
    """Return a package's ``__getattr__`` (PEP 562) that imports a submodule when it is first used.

    With it, a module may import the package at its top and pay for what it uses.
    """

    def load(name: str) -> Any:
        try:
            return import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{package}.{name}":
                raise
            raise AttributeError(f"module {package!r} has no attribute {name!r}") from None

    return load
