"""Functions by name, as ``package.module:function``. They are imported when they are called."""

from __future__ import annotations

import importlib
import re
from typing import Any

from zoo.errors import ZooError, did_you_mean

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class NotFoundError(ImportError):
    """A function was not found. The message names the failed import."""


class NamedFunction:
    """A function that is imported when it is called. Two such functions with the same name are equal.

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
        """The function, as expected by ``inspect.signature``."""
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
    """Whether a text has the form of a function name.

    >>> is_name("photos.changes:rain"), is_name("rain"), is_name("photos.changes.rain")
    (True, False, False)
    """
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def find_function(name: str) -> Any:
    """Finds ``module:function`` or ``module:Class.method``.

    Raises:
        NotFoundError: The name has another form, the module cannot be imported, or it has no such function.
    """
    if not is_name(name):
        raise NotFoundError(f"'{name}' does not have the form package.module:function")
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ZooError:
        raise
    except Exception as error:  # the code of the module may raise any exception
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
    """The name with which another process can import a function.

    Raises:
        NotFoundError: The function has no such name, because it is a lambda, or is defined in another function or in
            the main program.
    """
    module, path = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not module or not path:
        raise NotFoundError(f"{function!r:.80} has no name that can be imported")
    if module == "__main__":
        raise NotFoundError(f"'{path}' is defined in the main program or in a notebook, not in a module")
    name = f"{module}:{path}"
    if not is_name(name):
        raise NotFoundError(f"'{path}' is a lambda or is defined inside another function")
    if find_function(name) is not function:
        raise NotFoundError(f"'{name}' is another object")
    return name
