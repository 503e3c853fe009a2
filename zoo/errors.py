"""Every error a user can meet, and the exit code it ends with.

    ZooError                 1   what failed, the value received, and a hint that would work
    ├── UsageError           2   an argument, a name or a file that was asked for
    ├── PluginError          3   an installed plugin
    ├── DataError            4   images, labels, splits
    ├── TrainingError        4   a run: its recipe, its checkpoint, its folder
    ├── ExportError          5   a conversion
    └── VerificationError    6   an exported file that does not answer like Keras

Only the command line catches ``ZooError``; anything else is a bug and keeps its traceback.
Interruption (Ctrl-C, SIGTERM) ends with 130 and 143, as shells expect.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class ZooError(Exception):
    """Something the user can mend.

    Args:
        message: What failed and the value received, one sentence or more.
        hint: What would work, if it is known.

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
    """An argument, a name or a file that was asked for.

    >>> zoo.ImageSpec(height_px=0)
    Traceback (most recent call last):
        ...
    zoo.errors.UsageError: ImageSpec.height_px must be a whole number from 1 to 4096. Received: 0.
    """

    exit_code = 2


class PluginError(ZooError):
    """An installed plugin.

    >>> zoo.Dataset(name="My photos", summary="", write=print)
    Traceback (most recent call last):
        ...
    zoo.errors.PluginError: Dataset name 'My photos' is not valid.
      Use lower-case letters, digits and underscores, a letter first.
    """

    exit_code = 3


class PluginCodeError(PluginError):
    """Code of a plugin raised something else while it worked.

    Args:
        message, hint: As of every error.
        cause: What it raised, whose traceback its author needs. Keras takes ``__cause__`` away.
    """

    def __init__(self, message: str, hint: str | None, cause: BaseException) -> None:
        super().__init__(message, hint)
        self.cause = cause


class DataError(ZooError):
    """Images, labels, splits.

    >>> zoo.load("runs/digits").predict([])
    Traceback (most recent call last):
        ...
    zoo.errors.DataError: There are no pictures in what was given.
    """

    exit_code = 4


class TrainingError(ZooError):
    """A run: its recipe, its checkpoint, its folder.

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
    """A conversion, or an exported file that is damaged.

    >>> from pathlib import Path
    >>> _ = Path("damaged.onnx").write_bytes(b"no model")
    >>> zoo.load("damaged.onnx")
    Traceback (most recent call last):
        ...
    zoo.errors.ExportError: ...
    """

    exit_code = 5


class VerificationError(ZooError):
    """An exported file that does not predict like Keras, or a bundle that was altered.

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


class Terminated(SystemExit):
    """SIGTERM. Unlike a plugin's ``sys.exit`` it ends the command wherever it comes."""


def quoted(names: Sequence[str], most: int = 8) -> str:
    """Names in quotation marks, the first ones of many and the number of the others.

    >>> quoted(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    shown = ", ".join(repr(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question after the nearest name, with a space before it; nothing where none is near."""
    import difflib  # only the unlucky wait for it

    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """A ``UsageError`` for a name nobody offers, with the nearest one that somebody does.

    >>> print(unknown_name("architecture", "mobilenet2", ["mobilenetv2", "simple_cnn"]))
    Unknown architecture 'mobilenet2'. Did you mean 'mobilenetv2'?
      Known: mobilenetv2, simple_cnn.
    """
    choices = sorted(known)
    guess = did_you_mean(name, choices)
    known_line = f"Known: {', '.join(choices)}." if choices else f"No {kind} is installed."
    return UsageError(f"Unknown {kind} '{name}'.{guess}", known_line)
