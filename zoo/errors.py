"""All errors for users, and their exit codes.

    ZooError                 1   what failed, the value received, and a hint
    ├── UsageError           2   an invalid argument, name or file
    ├── PluginError          3   an installed plugin
    ├── DataError            4   images, labels, splits
    ├── TrainingError        4   a run: its recipe, its checkpoint, its folder
    ├── ExportError          5   a conversion
    ├── VerificationError    6   an exported file that does not agree with Keras
    └── ClusterError         7   several machines: a cluster or host that cannot be reached, or was lost

Only the command line catches ``ZooError``. Any other exception is a bug and keeps its traceback, except for a path that
is too long or needs other permissions, which is an invalid argument. After an interruption (Ctrl-C or SIGTERM), the
exit code is 130 or 143, as shells expect.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class ZooError(Exception):
    """An error that the user can fix.

    Args:
        message: What failed and the value received, in one or more sentences.
        hint: What would work, if known.

    >>> try:
    ...     zoo.load("mobilenet2")
    ... except zoo.ZooError as error:
    ...     print(error.message)
    'mobilenet2' is not a model, and there is no such file or folder. Did you mean 'mobilenetv2'?
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(ZooError):
    """An invalid argument, name or file.

    >>> zoo.ImageSpec(height_px=0)
    Traceback (most recent call last):
        ...
    zoo.errors.UsageError: ImageSpec.height_px must be a whole number from 1 to 4096. Received: 0.
    """

    exit_code = 2


class PluginError(ZooError):
    """An error of an installed plugin.

    >>> zoo.Dataset(name="My photos", summary="", write=print)
    Traceback (most recent call last):
        ...
    zoo.errors.PluginError: Dataset name 'My photos' is not valid.
      Use lower-case letters, digits and underscores, a letter first.
    """

    exit_code = 3


class PluginCodeError(PluginError):
    """Code of a plugin raised an exception that is not a ``ZooError``.

    Args:
        message, hint: As in ``ZooError``.
        cause: The exception, whose traceback the author of the plugin needs. It is stored here too, because Keras
            removes ``__cause__``.
    """

    def __init__(self, message: str, hint: str | None, cause: BaseException) -> None:
        super().__init__(message, hint)
        self.cause = cause


class DataError(ZooError):
    """An error in images, labels or splits.

    >>> zoo.load("runs/digits").predict([])
    Traceback (most recent call last):
        ...
    zoo.errors.DataError: No pictures were given.
    """

    exit_code = 4


class TrainingError(ZooError):
    """An error in a run: in its recipe, its checkpoint or its folder.

    >>> from pathlib import Path
    >>> _ = Path("runs/damaged").mkdir(), Path("runs/damaged/run.json").write_text("{}")
    >>> zoo.load("runs/damaged")
    Traceback (most recent call last):
        ...
    zoo.errors.TrainingError: runs/damaged/run.json is not a run description.
      Train again.
    """

    exit_code = 4


class ExportError(ZooError):
    """A failed conversion, or a damaged exported file.

    >>> from pathlib import Path
    >>> _ = Path("damaged.onnx").write_bytes(b"no model")
    >>> zoo.load("damaged.onnx")
    Traceback (most recent call last):
        ...
    zoo.errors.ExportError: ...
    """

    exit_code = 5


class VerificationError(ZooError):
    """An exported file that does not agree with Keras, or a bundle that was changed.

    >>> import shutil
    >>> altered = shutil.copytree("bundle", "altered")
    >>> with open("altered/labels.txt", "a") as file:
    ...     _ = file.write("a class more")
    >>> zoo.load("altered")
    Traceback (most recent call last):
        ...
    zoo.errors.VerificationError: The bundle altered is damaged: ...
    """

    exit_code = 6


class ClusterError(ZooError):
    """A Ray cluster or another host of a training that cannot be reached, or whose connection is lost.

    It is also raised if the workers of a cluster end again and again.

    >>> zoo.predict("bundle", "photos", out="found.csv", on="ray://127.0.0.1:1")
    Traceback (most recent call last):
        ...
    zoo.errors.ClusterError: No Ray cluster answers at ray://127.0.0.1:1: ...
    """

    exit_code = 7


class Terminated(SystemExit):
    """Raised on SIGTERM. Unlike ``sys.exit`` in a plugin, it always ends the command."""


def quoted(names: Sequence[str], most: int = 8) -> str:
    """Names in quotation marks: the first ones, and the number of the others.

    >>> quoted(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    shown = ", ".join(repr(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that suggests the most similar name, with a leading space. Empty if no name is similar."""
    import difflib  # imported only after an error

    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """A ``UsageError`` for an unknown name, which suggests the most similar known name.

    >>> print(unknown_name("architecture", "mobilenet2", ["mobilenetv2", "simple_cnn"]))
    Unknown architecture 'mobilenet2'. Did you mean 'mobilenetv2'?
      Known: mobilenetv2, simple_cnn.
    """
    choices = sorted(known)
    guess = did_you_mean(name, choices)
    known_line = f"Known: {', '.join(choices)}." if choices else f"No {kind} is installed."
    return UsageError(f"Unknown {kind} '{name}'.{guess}", known_line)
