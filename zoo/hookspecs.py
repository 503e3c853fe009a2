"""All hooks that a plugin may implement. A hook that returns something must not have side effects."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click
    import keras

    from zoo import Run
    from zoo.interfaces import Architecture, Dataset, Exporter
    from zoo.recipe import Recipe

hookspec = pluggy.HookspecMarker("zoo")
hookimpl = pluggy.HookimplMarker("zoo")


@hookspec
def zoo_architectures() -> Iterable[Architecture]:  # type: ignore[empty-body]
    """Returns the architectures of this plugin."""


@hookspec
def zoo_exporters() -> Iterable[Exporter]:  # type: ignore[empty-body]
    """Returns the file formats to which this plugin can export."""


@hookspec
def zoo_datasets() -> Iterable[Dataset]:  # type: ignore[empty-body]
    """Returns the datasets of this plugin, for ``--data``."""


@hookspec
def zoo_callbacks(recipe: Recipe, run_dir: Path) -> Iterable[keras.callbacks.Callback]:  # type: ignore[empty-body]
    """Returns Keras callbacks to add to a training run, such as those of an experiment tracker."""


@hookspec
def zoo_run_finished(run: Run) -> None:
    """Called once after a training run is finished and its metrics, model and report are written."""


@hookspec
def zoo_commands() -> Iterable[click.Command]:  # type: ignore[empty-body]
    """Returns commands to add to ``zoo``."""
