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

from collections.abc import Iterable


class ZooError(Exception):
    """Something the user can mend.

    Args:
        message: What failed and the value received, one sentence or more.
        hint: What would work, if it is known.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(ZooError):
    exit_code = 2


class PluginError(ZooError):
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
    exit_code = 4


class TrainingError(ZooError):
    exit_code = 4


class ExportError(ZooError):
    exit_code = 5


class VerificationError(ZooError):
    exit_code = 6


class Terminated(SystemExit):
    """SIGTERM. Unlike a plugin's ``sys.exit`` it ends the command wherever it comes."""


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
