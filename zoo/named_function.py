"""Functions by name, as ``package.module:function``: found when they are called, imported no earlier."""

from __future__ import annotations

import importlib
import re
from typing import Any

from zoo.errors import ZooError, did_you_mean

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class NotFoundError(ImportError):
    """A name leads to nothing; the message says what could not be imported."""


class NamedFunction:
    """A function that is found when it is called. It equals another one of the same name.

    >>> NamedFunction("math:hypot")(3, 4)
    5.0
    """

    def __init__(self, name: str) -> None:
        module, _, path = name.partition(":")
        self._name, self.__module__, self.__qualname__ = name, module, path
        self.__name__ = path.rpartition(".")[2]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return find_function(self._name)(*args, **kwargs)

    @property
    def __wrapped__(self) -> Any:
        """The function, where ``inspect.signature`` looks for it."""
        try:
            return find_function(self._name)
        except NotFoundError as error:
            raise AttributeError(str(error)) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedFunction) and self._name == other._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f"NamedFunction('{self._name}')"


def is_name(value: Any) -> bool:
    """Whether it is written like the name of a function.

    >>> is_name("photos.changes:rain"), is_name("rain"), is_name("photos.changes.rain")
    (True, False, False)
    """
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def find_function(name: str) -> Any:
    """What is called ``module:function``; ``module:Class.method`` is found too.

    Raises:
        NotFoundError: It is not such a name, the module cannot be imported, has no such name, or it is no function.
    """
    if not is_name(name):
        raise NotFoundError(f"'{name}' is not written package.module:function")
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ZooError:
        raise
    except Exception as error:  # whatever its code does
        raise NotFoundError(f"could not import '{module}': {type(error).__name__}: {error}") from error
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise NotFoundError(f"'{module}' has no '{path}'.{did_you_mean(part, dir(found))}") from None
    if not callable(found):
        raise NotFoundError(f"'{name}' is {type(found).__name__}, which cannot be called")
    return found


def name_of(function: Any) -> str:
    """The name under which another process finds a function.

    Raises:
        NotFoundError: There is none: it is a lambda, was made inside another function, or in the program that runs.
    """
    module, path = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not module or not path:
        raise NotFoundError(f"{function!r:.80} has no name of its own")
    if module == "__main__":
        raise NotFoundError(f"'{path}' is part of the program that runs, or of a notebook, and of no module")
    name = f"{module}:{path}"
    if not is_name(name):
        raise NotFoundError(f"'{path}' was made inside another function or is a lambda")
    if find_function(name) is not function:
        raise NotFoundError(f"'{name}' is another object")
    return name
