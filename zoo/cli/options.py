"""Options that several commands share."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from zoo.augmentation import RANGES, Augmentation
from zoo.errors import UsageError
from zoo.image_spec import INTERPOLATIONS, RESIZE_RULES
from zoo.recipe import FIELDS, Recipe, field_choices, read_field
from zoo.records import read_json
from zoo.reporter import Reporter
from zoo.training.taught import SHARE, VIEWS

_ITS_OWN = "  [default: the architecture's]"

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def reporter_for(quiet: bool) -> Reporter:
    """The reporter of a command."""
    from zoo.progress import QuietReporter, make_reporter

    return QuietReporter() if quiet else make_reporter()


def runs_option(function: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs."
    )
    return option(function)


def on_option(function: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--on",
        metavar="ray|ray://HOST:PORT",
        help="Run on a Ray cluster: ray for the cluster of this machine, or the address of another cluster.",
    )
    return option(function)


def gate_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--min-agreement``, ``--max-accuracy-drop``, ``--max-difference`` replace the default limits of a precision."""
    for option in (
        click.option(
            "--max-difference",
            type=click.FloatRange(0, 1),
            help="Gate: maximum difference of a probability from Keras.",
        ),
        click.option(
            "--max-accuracy-drop",
            type=click.FloatRange(0, 1),
            help="Gate: maximum loss of accuracy, 0 to 1.  [int8: 0.01]",
        ),
        click.option(
            "--min-agreement",
            type=click.FloatRange(0, 1),
            help="Gate: minimum share of images with the same prediction as Keras, 0 to 1.  [int8: 0.98]",
        ),
    ):
        function = option(function)
    return function


def lone_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--labels`` and ``--pixels``: the metadata that a ``.keras`` file lacks if it does not belong to a run."""
    for option in (
        click.option(
            "--pixels",
            metavar="RANGE",
            help="For a .keras file without a run: 0..1, -1..1, caffe or torch.  [default: raw pixels]",
        ),
        click.option(
            "--labels",
            type=click.Path(path_type=Path),
            help="For a .keras file without a run: text file of class names, one per line.",
        ),
    ):
        function = option(function)
    return function


def chosen_gates(
    min_agreement: float | None, max_accuracy_drop: float | None, max_difference: float | None
) -> dict[str, float]:
    """The fields of ``Gates`` that the user set."""
    chosen = {
        "min_agreement": min_agreement,
        "max_accuracy_drop": max_accuracy_drop,
        "max_difference": max_difference,
    }
    return {name: value for name, value in chosen.items() if value is not None}


def image_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--size``, ``--resize``, ``--interpolation``: the fields of the ImageSpec."""
    for option in (
        click.option(
            "--interpolation",
            type=click.Choice(INTERPOLATIONS),
            help=f"Interpolation of pixels.{_ITS_OWN}",
        ),
        click.option(
            "--resize",
            type=click.Choice(RESIZE_RULES),
            help=f"How an image is fitted to the size.{_ITS_OWN}",
        ),
        click.option("--size", metavar="PX|WxH", help=f"Image size: 224, or 320x240.{_ITS_OWN}"),
    ):
        function = option(function)
    return function


def read_image(size: str | None, resize: str | None, interpolation: str | None) -> dict[str, Any]:
    """The fields of the ImageSpec that these options set."""
    given = {"resize": resize, "interpolation": interpolation}
    return (read_size(size) if size else {}) | {name: value for name, value in given.items() if value is not None}


def read_size(text: str) -> dict[str, int]:
    """``224`` or ``320x240`` (width, height) as ImageSpec fields."""
    match = re.fullmatch(r"(\d{1,6})(?:[xX](\d{1,6}))?", text.strip())
    if not match:
        raise UsageError(f"--size must be pixels, such as 224 or 320x240 (width x height). Received: {text!r}.")
    width, height = int(match[1]), int(match[2] or match[1])
    return {"width_px": width, "height_px": height}


def read_options(texts: Iterable[str]) -> dict[str, Any]:
    """Parses ``NAME=VALUE`` into keyword arguments. Numeric values become numbers."""
    options: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.isidentifier():
            raise UsageError(f"--option must be NAME=VALUE, such as width=0.5. Received: {text!r}.")
        try:
            options[name] = read_json(value)
        except ValueError:
            options[name] = value
    return options


def recipe_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds one option for each field of the recipe and of its augmentation. The help is the field's documentation."""
    for name in reversed(FIELDS):
        choices = field_choices(name)
        # The recipe parses the text, so that values in a YAML file and on the command line are checked in the same way.
        option = click.option(
            f"--{name.replace('_', '-')}",
            name,
            metavar=_METAVARS.get(name) or "|".join(choices) or "N",
            help=f"{_documented(name)}  [default: {_default(name)}]",
            callback=_read_field,
        )
        function = option(function)
    return function


#: Form of the values that are neither numbers nor one of a few names.
_METAVARS = {
    "view": "LOW,HIGH",
    "aspect": "N|free",
    "optimizer": "NAME|JSON",
    "loss": "NAME|JSON",
    "augmentation": "NAME|MODULE:FUNCTION|JSON",
}


def _read_field(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    name = str(parameter.name)
    return None if value is None else read_field(name, value)


def _default(field: str) -> str:
    """The default of the plain recipe, as written on the command line."""
    if field == "augmentation":
        return "the values below"
    value = getattr(Recipe().augmentation if field in RANGES else Recipe(), field)
    if isinstance(value, tuple):
        return ",".join(f"{part:g}" for part in value)
    return _LEFT_OPEN[field] if value is None else f"{value:g}" if isinstance(value, float) else str(value)


#: Defaults of the fields that are ``None`` in a plain recipe.
_LEFT_OPEN = {
    "dropout": "the architecture's",
    "batch_norm_momentum": "none",
    "teacher_share": f"{SHARE:g} with teachers",
    "teacher_views": f"{VIEWS} with teachers",
}


def _documented(field: str) -> str:
    """The field's entry in the docstring of ``Recipe`` or ``Augmentation``, without markup."""
    record = Augmentation if field in RANGES else Recipe
    text = inspect.getdoc(record) or ""
    entry = re.search(rf"^    {field}: (.*?)(?=^    \w+: |^\s*$|\Z)", text, re.MULTILINE | re.DOTALL)
    assert entry, f"{record.__name__}.{field} is not documented"
    return " ".join(entry.group(1).replace("``", "").split())
