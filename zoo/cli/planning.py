"""From what the command line gave to a plan."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from zoo.data.named import find_source
from zoo.errors import UsageError
from zoo.image_spec import ImageSpec
from zoo.recipe import FIELDS
from zoo.records import read_json
from zoo.registry import architectures
from zoo.run_folder import Run
from zoo.training.plan import Plan, find_recipe, image_for
from zoo.training.start import RANDOM, default_weights, find_weights

DEFAULT_DATA = "digits"


def make_plan(architecture: str | None, asked: dict[str, Any], repeated: Run | None) -> Plan:
    """The plan of a new run: what was asked, over what a repeated run had, over the architecture's defaults.

    Args:
        architecture: Its name, if given.
        asked: Options that were given, by name.
        repeated: The run that ``--repeat`` names.

    Raises:
        UsageError: A name nobody offers, a value that does not fit.
    """
    name = architecture or (repeated.architecture if repeated else None)
    if name is None:
        raise UsageError("Which architecture?", f"Known: {', '.join(offer.record.name for offer in architectures())}.")
    record = architectures().get(name)
    fields = {field: asked[field] for field in FIELDS if field in asked}
    if repeated and architecture in (None, repeated.architecture):
        source = asked.get("data", repeated.info["data"]["source"])
        weights, options = repeated.info["weights"], repeated.info["options"]
        recipe_name, recipe = repeated.info["recipe_name"], repeated.asked_recipe
        image = repeated.image_spec
    else:
        source = asked.get("data", repeated.info["data"]["source"] if repeated else DEFAULT_DATA)
        weights, options = asked.get("weights", default_weights(record)), {}
        recipe_name = "scratch" if weights == RANDOM and "scratch" in record.recipes else "default"
        recipe = record.recipes[recipe_name]
        image = image_for(record, source)
    if "recipe" in asked:
        recipe_name, recipe = asked["recipe"], find_recipe(record, asked["recipe"])
    if asked.get("weights") == RANDOM != weights and "scratch" in record.recipes:
        recipe_name, recipe = "scratch", record.recipes["scratch"]
    weights = find_weights(record, asked.get("weights", weights))
    find_source(source)  # a mistyped path is told before anything heavy is loaded
    return Plan(
        architecture=record,
        source=source,
        image=_image(image, asked),
        weights=weights,
        options=options | read_options(asked.get("options", ())),
        recipe_name=recipe_name,
        recipe=recipe.with_values(fields),
        seed=asked.get("seed", repeated.seed if repeated else 0),
        split_seed=asked.get("split_seed", repeated.info["split_seed"] if repeated else 0),
    )


def _image(image: ImageSpec, asked: dict[str, Any]) -> ImageSpec:
    changes: dict[str, Any] = {name: asked[name] for name in ("resize", "interpolation") if name in asked}
    if "size" in asked:
        changes |= read_size(asked["size"])
    return replace(image, **changes)


def read_options(texts: Iterable[str]) -> dict[str, Any]:
    """``NAME=VALUE`` as keyword arguments; a value is a number where it reads as one."""
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


def read_size(text: str) -> dict[str, int]:
    """``224`` or ``320x240`` (width, height) as ImageSpec fields."""
    match = re.fullmatch(r"(\d{1,6})(?:[xX](\d{1,6}))?", text.strip())
    if not match:
        raise UsageError(f"--size must be pixels, such as 224 or 320x240 (width x height). Received: {text!r}.")
    width, height = int(match[1]), int(match[2] or match[1])
    return {"width_px": width, "height_px": height}
