"""The interface through which zoo calls plugins. Exceptions of a plugin are converted to errors that name the plugin.

``guarded`` wraps the functions of a record accordingly, and the registry returns only such records. In
``zoo.interfaces``, the metadata of the record fields defines what each function ``does`` and which types it
``returns``.
"""

from __future__ import annotations

import errno
import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from zoo.errors import DataError, ExportError, PluginCodeError, PluginError, Terminated, UsageError, ZooError
from zoo.interfaces import App, Dataset, Exporter
from zoo.named_function import NotFoundError

if TYPE_CHECKING:
    from zoo.exported import TensorInfo

Record = TypeVar("Record")

#: Errors of the machine, not of the plugin.
_WITHOUT_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


def guarded(record: Record, distribution: str, owner: str = "") -> Record:
    """A copy of a record whose functions, and the runtimes that they load, raise errors that name the plugin.

    It equals the original record. A record that is already guarded is returned unchanged.

    Args:
        record: A record returned by a plugin.
        distribution: The distribution that installed the plugin.
        owner: Name of the record to which this one belongs.
    """
    changes: dict[str, Any] = {}
    for field in fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if "does" in field.metadata:
            if value is not None and not isinstance(value, _Guard):
                changes[field.name] = _Guard(value, record, field.metadata, distribution, owner)
        elif isinstance(value, tuple) and value and all(map(is_dataclass, value)):
            changes[field.name] = tuple(guarded(part, distribution, record.name) for part in value)  # type: ignore[attr-defined]
        elif isinstance(value, App):
            changes[field.name] = guarded(value, distribution, record.name)  # type: ignore[attr-defined]
    return replace(record, **changes) if changes else record  # type: ignore[type-var]


class _Guard:
    """A wrapped function of a record. It equals the function, so that records can be compared."""

    def __init__(
        self, function: Callable[..., Any], record: Any, about: Any, distribution: str, owner: str = ""
    ) -> None:
        functools.update_wrapper(self, function)
        self._function, self._record, self._about = function, record, about
        self._distribution, self._owner = distribution, owner

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            result = self._function(*args, **kwargs)
        except (ZooError, Terminated):
            raise
        except (Exception, SystemExit) as error:
            self._explain(error, args)
        expected = self._about.get("returns")
        if expected and not isinstance(result, expected):
            names = " or ".join("None" if kind is type(None) else kind.__name__ for kind in expected)
            seen = f"it returned {result!r:.80}, not {names}"
            raise PluginError(
                f"The plugin '{self._distribution}' failed {self._doing(args)}: {seen}.",
                f"To disable the plugin, set ZOO_DISABLE_PLUGINS={self._distribution}.",
            )
        if then := self._about.get("then"):
            return _Runtime(result, self._distribution, then.format(args=args))
        return result

    def __eq__(self, other: object) -> bool:
        return bool(self._function == (other._function if isinstance(other, _Guard) else other))

    def __hash__(self) -> int:
        return hash(self._function)

    def _doing(self, args: tuple[Any, ...]) -> str:
        name = getattr(self._record, "name", self._owner)
        padded = (*args, *[""] * 3)
        return str(self._about["does"].format(name=name, owner=self._owner, args=padded)).strip()

    def _explain(self, error: BaseException, args: tuple[Any, ...]) -> NoReturn:
        if isinstance(error, OSError) and error.errno in _WITHOUT_ROOM:
            kind = DataError if isinstance(self._record, Dataset) else ExportError
            raise kind(f"Could not finish {self._doing(args)}: {error.strerror}.", "Free some space.") from error
        missing = error.__cause__ if isinstance(error, NotFoundError) else error
        if isinstance(missing, ModuleNotFoundError) and isinstance(self._record, Exporter):
            package = (missing.name or "").partition(".")[0]
            if package and package != str(getattr(self, "__module__", "")).partition(".")[0]:
                wanted = [line for line in self._record.requires if _module(line) == package.lower()]
                command = " ".join(f'"{line}"' for line in wanted) or package
                raise UsageError(f"'{missing.name}' is not installed.", f"python -m pip install {command}") from error
        _blame(self._distribution, self._doing(args), error)


class _Runtime:
    """A wrapped runtime of an exporter. ``predict`` is called in hot loops, so it adds only two function calls."""

    __slots__ = ("_distribution", "_doing", "_runtime")

    def __init__(self, runtime: Any, distribution: str, doing: str) -> None:
        self._runtime, self._distribution, self._doing = runtime, distribution, doing

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        with blamed(self._distribution, self._doing):
            return tuple(self._runtime.inputs)

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        with blamed(self._distribution, self._doing):
            return tuple(self._runtime.outputs)

    def predict(self, images: Any) -> Any:
        return self._ask(self._runtime.predict, images)

    def explain(self, images: Any) -> Any:
        return self._ask(self._runtime.explain, images)

    def _ask(self, method: Callable[[Any], Any], images: Any) -> Any:
        try:
            return method(images)
        except (ZooError, Terminated):
            raise
        except (Exception, SystemExit) as error:
            _blame(self._distribution, self._doing, error)


@contextmanager
def blamed(distribution: str, what: str) -> Iterator[None]:
    """Converts exceptions and exits of plugin code in the block to errors that name the plugin.

    It is used for hooks and their results. Functions of records are wrapped by ``guarded``.

    Args:
        distribution: Distribution of the plugin.
        what: The current action, such as ``building 'tiny_net'``.

    Raises:
        PluginCodeError: The plugin raised an exception, which is the cause. A ``ZooError`` and interruptions are not
            converted.
    """
    try:
        yield
    except (ZooError, Terminated):
        raise
    except (Exception, SystemExit) as error:
        _blame(distribution, what, error)


def blame_callback(callback: Any, distribution: str) -> None:
    """Wraps the methods of a plugin's Keras callback, so that errors name the plugin."""
    wrap_callback(callback, lambda method, name: _blamed_call(method, distribution, f"in {name}"))


def wrap_callback(callback: Any, wrap: Callable[[Callable[..., Any], str], Callable[..., Any]]) -> None:
    """Replaces every method of a Keras callback that Keras or the harness calls.

    Args:
        callback: The callback. Its own methods are replaced, but not those inherited from Keras.
        wrap: Returns the replacement of a method, given the method and its name, such as ``Tracker.on_epoch_end``.
    """
    for name in dir(type(callback)):
        if not name.startswith("on_") and name not in ("set_model", "set_params", "get_state", "set_state"):
            continue
        method = getattr(callback, name)
        if callable(method) and not hasattr(method, "_is_default"):  # Keras checks which methods are overridden
            setattr(callback, name, wrap(method, f"{type(callback).__name__}.{name}"))


def one_line(error: BaseException) -> str:
    """Formats an error as part of one line."""
    said = error.message if isinstance(error, PluginError) else str(error)
    text = said if isinstance(error, PluginError | NotFoundError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300]


def _blamed_call(method: Callable[..., Any], distribution: str, what: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        with blamed(distribution, what):
            return method(*args, **kwargs)

    return call


def _blame(distribution: str, what: str, error: BaseException) -> NoReturn:
    raise PluginCodeError(
        f"The plugin '{distribution}' failed {what}: {one_line(error)}",
        f"To disable the plugin, set ZOO_DISABLE_PLUGINS={distribution}.",
        error,
    ) from error


def _module(requirement: str) -> str:
    """The module that a requirement most likely provides: ``ai-edge-litert>=2.3`` provides ``ai_edge_litert``."""
    return re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0].replace("-", "_").lower()
