"""``zoo``: the table of commands, and the one place that turns errors into messages and exit codes."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Mapping
from types import FrameType
from typing import NoReturn

import click

from zoo import __version__
from zoo.cli.groups import LazyGroup
from zoo.errors import PluginCodeError, Terminated, UsageError, ZooError
from zoo.memory import keep_freed_memory
from zoo.reporter import close_bars
from zoo.terminal import guard_terminal

#: For each command, its module and its line in ``zoo --help``. A module is imported when its command is called.
COMMANDS = {
    "train": ("zoo.cli.train", "Train an architecture on a folder of photos, and write a report."),
    "search": ("zoo.cli.search", "Search for the best model within the limits of a device and a time budget."),
    "evaluate": ("zoo.cli.evaluate", "Evaluate a trained run on its test images or on others."),
    "export": ("zoo.cli.export", "Export a trained model to verified files for other runtimes."),
    "verify": ("zoo.cli.verify", "Check that an exported file agrees with its Keras model."),
    "predict": ("zoo.cli.predict", "Predict the class of photos with a run, an exported file or a bundle."),
    "explain": ("zoo.cli.explain", "Draw heatmaps of the evidence for a class in photos."),
    "bench": ("zoo.cli.bench", "Measure the latency of exported models, and compare devices."),
    "runs": ("zoo.cli.runs", "List finished runs with their data and accuracy."),
    "show": ("zoo.cli.show", "Show the details of a run, an architecture or an exporter."),
    "compare": ("zoo.cli.compare", "Compare runs, and show which differences are significant."),
    "data": ("zoo.cli.data", "Check, split and fetch folders of photos."),
    "list": ("zoo.cli.list", "List architectures, datasets and exporters."),
    "plugin": ("zoo.cli.plugin", "List installed plugins, create a plugin, or check one."),
    "cache": ("zoo.cli.cache", "Show or clear the cache of decoded images."),
}


class _WithPlugins(LazyGroup):
    """The commands of zoo and of plugins. A plugin cannot replace a command of zoo."""

    def more(self) -> Mapping[str, click.Command]:
        from zoo.registry import plugin_manager

        found = plugin_manager().commands()
        return {name: command for name, (_, command) in found.items() if name not in COMMANDS}


@click.group(
    cls=_WithPlugins, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="zoo")
def cli() -> None:
    """From a folder of photos to a verified image classifier on an edge device.

    \b
    zoo train simple_cnn                       on 1797 handwritten digits, to try it
    zoo train mobilenetv2 --data photos/       on your photos, one folder per class
    zoo export mobilenetv2                     to TFLite and ONNX files, verified against Keras
    zoo predict mobilenetv2 photo.jpg          predicts the class of a photo
    """


def main() -> NoReturn:
    """The ``zoo`` script. ``zoo.errors`` documents the exit codes. An unexpected exception keeps its traceback."""
    signal.signal(signal.SIGTERM, _terminate)
    guard_terminal()
    keep_freed_memory()
    try:
        try:
            cli(standalone_mode=False)
        finally:
            close_bars()
    except ZooError as error:
        if isinstance(error, PluginCodeError):
            import traceback

            traceback.print_exception(error.cause)  # for the author of the plugin
        _fail(f"Error: {error}", error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:  # of a path in an argument, which is looked up in many places
        if error.errno not in (errno.ENAMETOOLONG, errno.EACCES) or error.filename is None:
            raise
        _fail(f"Error: Cannot access '{error.filename}': {os.strerror(error.errno).lower()}.", UsageError.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("Interrupted.", 130)
    sys.exit(0)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(128 + number)


def _fail(text: str, code: int) -> NoReturn:
    print(text, file=sys.stderr)
    sys.exit(code)
