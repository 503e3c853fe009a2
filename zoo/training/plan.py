"""The plan of a run, which is made before large packages are imported, and the comparison with a resumed run."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.data import ImageData, named_dataset
from zoo.errors import TrainingError, UsageError, unknown_name
from zoo.image_spec import ImageSpec
from zoo.interfaces import Architecture
from zoo.recipe import FIELDS, MAPPINGS, Recipe
from zoo.registry import architectures
from zoo.run_folder import Run
from zoo.training.start import find_weights
from zoo.training.taught import taught_recipe
from zoo.yaml_files import read_yaml


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that determines a run: the same plan, data and machine give the same weights.

    Args:
        architecture: The record of the architecture.
        source: The argument of ``--data``.
        image: The preprocessing.
        weights: ``none``, the name of pretrained weights, or a file.
        options: Arguments of the architecture's ``build``.
        recipe_name: ``default``, ``article``, a file, or the run from which it was copied.
        recipe: The recipe with all fields that the user set.
        seed: Seed of the initial weights, shuffling, augmentation and dropout.
        split_seed: Seed of the random split. It is separate from ``seed``, so that seeds are compared on the same
            images.
        notes: Sentences on settings with a smaller effect than expected.
        teachers: Run folders of the teachers, absolute paths.
        unlabelled: A folder of photos without labels, an absolute path.
    """

    architecture: Architecture
    source: str
    image: ImageSpec
    weights: str
    options: dict[str, Any]
    recipe_name: str
    recipe: Recipe
    seed: int
    split_seed: int
    notes: tuple[str, ...] = ()
    teachers: tuple[Path, ...] = ()
    unlabelled: Path | None = None


def image_for(architecture: Architecture, source: str) -> ImageSpec:
    """The default ImageSpec: that of a named dataset, or else that of the architecture."""
    dataset = named_dataset(source)
    return dataset.image if dataset and dataset.image else architecture.image


def find_recipe(architecture: Architecture, name: str) -> Recipe:
    """Finds a recipe of the architecture by name, or reads it from a YAML file of recipe fields.

    A file may be based on a named recipe, with ``base: article``. The default is ``default``.

    Raises:
        UsageError: The name or file does not exist, or the file is not a mapping of recipe fields.
    """
    if name in architecture.recipes:
        return architecture.recipes[name]
    values = _read_recipe(architecture, name)
    base = values.pop("base", "default")
    if base not in architecture.recipes:
        raise unknown_name(f"recipe of {architecture.name}", str(base), architecture.recipes)
    return architecture.recipes[base].with_values(values)


def given_fields(architecture: Architecture, recipe: str | None, settings: Iterable[str]) -> frozenset[str]:
    """Names of the recipe fields that the user set, individually or in a YAML file.

    Args:
        architecture: The record of the architecture.
        recipe: The requested recipe: a named recipe, which sets no fields, a YAML file, or nothing.
        settings: Names of the fields that were set individually.

    Raises:
        UsageError: In the same cases as ``find_recipe``.
    """
    given = frozenset(settings)
    if recipe is None or recipe in architecture.recipes:
        return given
    return given | (frozenset(_read_recipe(architecture, recipe)) - {"base"})


def _read_recipe(architecture: Architecture, name: str) -> dict[str, Any]:
    path = Path(name)
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise unknown_name(f"recipe of {architecture.name}", name, architecture.recipes)
    try:
        values = read_yaml(path)
    except ValueError as error:
        raise UsageError(f"Could not read the recipe '{path}': {error}.", _MAPPING) from error
    if not isinstance(values, dict):
        raise UsageError(f"The recipe '{path}' is not a mapping of fields to values.", _MAPPING)
    for field, value in values.items():
        # The value is not printed, because a few lines of YAML can represent more text than fits into memory.
        fits = _is_flat(value) if field in MAPPINGS else not isinstance(value, dict | list | set | tuple)
        if not isinstance(field, str) or not fits:
            raise UsageError(
                f"The recipe '{path}' has a field that is a list or a mapping instead of a value.", _MAPPING
            )
    return values


def _is_flat(value: Any) -> bool:
    """Whether it is a value, or a mapping of values and short lists of values."""
    inner = value.values() if isinstance(value, dict) else [value]
    lists = [each for each in inner if isinstance(each, list) and len(each) <= 64]
    plain = [each for each in inner if not isinstance(each, dict | list | set | tuple)]
    flat = all(not isinstance(each, dict | list | set | tuple) for items in lists for each in items)
    return len(lists) + len(plain) == len(inner) and flat


_MAPPING = "A recipe is a mapping of fields to values, for example: learning_rate: 0.001"


def refuse_other_plan(run: Run, asked: Mapping[str, Any]) -> None:
    """Refuses to resume a run with other settings than it was started with.

    Args:
        run: The run to resume.
        asked: Settings that were given explicitly: ``architecture``, ``seed``, recipe fields, ... For ``recipe``, its
            fields are compared, not its name. ``options`` contains only the given options. ``teachers`` and
            ``unlabelled`` are absolute paths.

    Raises:
        UsageError: A setting differs, which the message shows, or the recipe or the weights do not exist.
    """
    was: dict[str, Any] = {
        "architecture": run.architecture,
        "seed": run.seed,
        "split_seed": run.info.split_seed,
        "weights": run.info.weights,
        "data": run.info.data.source,
        **_taught(run),
        **run.image_spec.as_dict(),
        "augmentation": "",
        **run.info.asked_recipe.settings(),
        **_named_options(run.info.options),
    }
    record = architectures().get(run.architecture)
    now: dict[str, Any] = {name: value for name, value in asked.items() if name not in ("recipe", "options")}
    if "weights" in asked:
        now["weights"] = find_weights(record, asked["weights"])
    named = find_recipe(record, asked["recipe"]) if "recipe" in asked else None
    recipe = named or run.info.asked_recipe
    recipe = recipe.with_values({name: asked[name] for name in FIELDS if name in asked})
    if named and run.info.taught:
        recipe, _ = taught_recipe(recipe, given_fields(record, asked["recipe"], asked.keys() & set(FIELDS)))
    now |= {"augmentation": "", **recipe.settings()}
    if now["flip"] in (
        "auto",
        run.recipe.ranges.flip,
    ):  # `auto` leaves this choice to zoo, which made it when the run was started
        del now["flip"]
    now |= _named_options(asked.get("options", {}))
    changed = [
        f"{name}: {repr(was[name]) if name in was else 'not set'} in the run, {value!r} requested"
        for name, value in now.items()
        if name not in was or was[name] != value
    ]
    if changed:
        raise UsageError(
            f"{run.path} was started with other settings. {'; '.join(changed)}.",
            "A resumed run keeps its settings. Omit the options, or start a new run.",
        )


def _taught(run: Run) -> dict[str, Any]:
    taught = run.info.taught
    teachers = [teacher.run for teacher in taught.teachers] if taught else []
    unlabelled = taught.unlabelled.source if taught and taught.unlabelled else None
    return {"teachers": teachers, "unlabelled": unlabelled}


def _named_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {f"option {name}": value for name, value in options.items()}


def refuse_other_data(run: Run, data: ImageData) -> None:
    """Refuses to resume a run on other images than it was started with.

    Raises:
        TrainingError: Images were added, removed, changed, relabelled or moved between splits; the message names them.
    """
    before = {row["path"]: (row["label"], row["split"], row["sha256"]) for row in run.split()}
    now = {path: (label, split, sha256) for path, label, split, sha256 in data.rows()}
    if before == now:
        return
    common = before.keys() & now.keys()
    differences = {
        "added": now.keys() - before.keys(),
        "removed": before.keys() - now.keys(),
        "changed": {name for name in common if before[name][2] != now[name][2]},
        "relabelled": {name for name in common if before[name][0] != now[name][0]},
        "in another split": {name for name in common if before[name][1] != now[name][1]},
    }
    told = [f"{len(names)} {what} ({_some(names)})" for what, names in differences.items() if names]
    hint = f"Restore {data.source}, or start a new run."
    if not any(names for what, names in differences.items() if what != "in another split"):
        repeat = shlex.join(["zoo", "train", "--repeat", str(run.path)])
        hint += f" If you have moved no image, this version of zoo splits images differently: {repeat}"
    raise TrainingError(
        f"The data of {run.path} has changed: {', '.join(told) or 'it is split differently'}.",
        hint,
    )


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(repr(name) for name in ordered[:3]) + (", ..." if len(ordered) > 3 else "")
