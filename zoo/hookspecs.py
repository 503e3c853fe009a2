"""The hooks a plugin may implement. All of them; each returns records and has no side effect."""

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
    """Architectures this plugin offers."""


@hookspec
def zoo_exporters() -> Iterable[Exporter]:  # type: ignore[empty-body]
    """File formats this plugin can export to."""


@hookspec
def zoo_datasets() -> Iterable[Dataset]:  # type: ignore[empty-body]
    """Datasets that ``--data`` may name."""


@hookspec
def zoo_callbacks(recipe: Recipe, run_dir: Path) -> Iterable[keras.callbacks.Callback]:  # type: ignore[empty-body]
    """Keras callbacks to add to a training run, such as an experiment tracker's."""


@hookspec
def zoo_run_finished(run: Run) -> None:
    """A training run is finished: metrics, model and report stand. It is called once, after all of them."""


@hookspec
def zoo_commands() -> Iterable[click.Command]:  # type: ignore[empty-body]
    """Commands to add to ``zoo``."""
