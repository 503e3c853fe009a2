"""Makes a plan from a request. Requested values have precedence over those of a repeated run, and those over the
architecture's defaults."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zoo.data.named import find_source
from zoo.errors import UsageError
from zoo.hosts.place import Place
from zoo.image_spec import ImageSpec
from zoo.recipe import Recipe, setting_as_text
from zoo.registry import architectures
from zoo.run_folder import DEFAULT_ROOT, Run
from zoo.training.effects import effect_notes, refuse_missing_backbone, refuse_without_effect
from zoo.training.plan import Plan, find_recipe, given_fields, image_for
from zoo.training.start import RANDOM, default_weights, find_weights
from zoo.training.taught import taught_recipe
from zoo.workflows.teachers import find_teachers, model_digest

DEFAULT_DATA = "digits"


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What to train. Values that are ``None`` or empty are taken from the repeated run or the architecture.

    Args:
        architecture: Name of the architecture.
        data: A folder of class folders, a CSV file, or the name of a dataset.
        image: Fields of the ``ImageSpec``: ``height_px``, ``width_px``, ``resize``, ``interpolation``.
        recipe: Name of a recipe, or a YAML file of recipe fields.
        settings: Fields of the recipe and of its augmentation that replace the recipe's own values. A field without
            effect is refused.
        file_settings: The same from a plan file. A plan file contains all fields, so those without effect are not
            refused. ``settings`` have precedence.
        weights: ``imagenet``, ``none``, or an ``.npz`` or ``.keras`` file.
        options: Options of the architecture, such as ``width``.
        seed: Seed of weights, shuffling and augmentation.
        split_seed: Seed of the random split.
        runs: Folder of runs.
        name: Name of the new run.
        resume: An interrupted run to continue exactly. The other values must then be those with which it was started,
            or be omitted.
        repeat: A run whose settings the new run uses.
        tensorboard: Whether to write TensorBoard logs into the run folder.
        callbacks: Keras callbacks to add. The state of a callback with ``get_state()`` and ``set_state(state)`` is
            resumed too.
        teachers: Finished runs. The model learns their probabilities in addition to the labels.
        unlabelled: A folder of photos without labels. The model learns the teachers' probabilities on them.
        devices: Number of devices that share every batch, or ``"all"``; needs Keras on JAX. It may differ when a run is
            resumed.
        host: The place of this process, if several processes train the model together. It may differ when a run is
            resumed.
        on: The Ray cluster that starts one process on each of its machines: ``ray`` or ``ray://HOST:PORT``. Each of
            them has its place in ``host``.
    """

    architecture: str | None = None
    data: str | None = None
    image: Mapping[str, Any] = field(default_factory=dict)
    recipe: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    file_settings: Mapping[str, Any] = field(default_factory=dict)
    weights: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    split_seed: int | None = None
    runs: Path = DEFAULT_ROOT
    name: str | None = None
    resume: Path | None = None
    repeat: Path | None = None
    tensorboard: bool = False
    callbacks: tuple[Any, ...] = ()
    teachers: tuple[Path, ...] = ()
    unlabelled: Path | None = None
    devices: int | str | None = None
    host: Place | None = None
    on: str | None = None

    def asked(self) -> dict[str, Any]:
        """The values that are set, by name, including the fields of image and recipe."""
        given = {name: getattr(self, name) for name in ("architecture", "data", "recipe", "weights", "seed")}
        given |= {"split_seed": self.split_seed, "options": dict(self.options) or None, **self.image, **self.settings}
        given |= {"teachers": self.teachers or None, "unlabelled": self.unlabelled}
        return {name: value for name, value in given.items() if value is not None}

    def command(self) -> str:
        """The equivalent command line. It cannot express callbacks."""
        return shlex.join(["zoo", "train", *self._arguments()])

    def _arguments(self) -> Iterator[str]:
        if self.architecture:
            yield self.architecture
        image = dict(self.image)
        width, height = image.pop("width_px", None), image.pop("height_px", None)
        given: dict[str, Any] = {"data": self.data}
        if width or height:
            given["size"] = width if width == height else f"{width}x{height}"
        given |= {**image, "recipe": self.recipe, "weights": self.weights}
        given |= {"seed": self.seed, "split_seed": self.split_seed}
        given |= {"runs": None if self.runs == DEFAULT_ROOT else self.runs}
        given |= {"resume": self.resume, "repeat": self.repeat, "name": self.name, "devices": self.devices}
        given |= {"host": None if self.on else self.host, "on": self.on}
        for name, value in given.items():
            if value is not None:
                yield from (_flag(name), str(value))
        for name, value in self.options.items():
            yield from ("--option", f"{name}={value}")
        for teacher in self.teachers:
            yield from ("--teacher", str(teacher))
        if self.unlabelled:
            yield from ("--unlabelled", str(self.unlabelled))
        if self.tensorboard:
            yield "--tensorboard"
        for name, value in self.settings.items():
            yield from (_flag(name), setting_as_text(value))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def make_plan(request: TrainRequest, repeated: Run | None) -> Plan:
    """The plan of a new run.

    Args:
        request: The request.
        repeated: The run that ``request.repeat`` refers to.

    Raises:
        UsageError: A name is unknown, or a value cannot be used.
    """
    name = request.architecture or (repeated.architecture if repeated else None)
    if name is None:
        raise UsageError(
            "No architecture is given.",
            f"Known: {', '.join(offer.record.name for offer in architectures())}. With your own --data, the"
            " architecture with the best pretrained weights is used.",
        )
    record = architectures().get(name)
    source = request.data or (repeated.info.data.source if repeated else DEFAULT_DATA)
    if repeated and request.architecture in (None, repeated.architecture):
        weights, options = repeated.info.weights, dict(repeated.info.options)
        recipe_name, recipe = repeated.info.recipe_name, repeated.info.asked_recipe
        image = repeated.image_spec
    else:
        weights, options = request.weights or default_weights(record), {}
        recipe_name = "scratch" if weights == RANDOM and "scratch" in record.recipes else "default"
        recipe = record.recipes[recipe_name]
        image = image_for(record, source)
    base = record.recipes.get(recipe_name, record.recipes["default"])
    given = given_fields(record, request.recipe, request.settings)
    if request.recipe is not None:
        recipe_name, recipe = request.recipe, find_recipe(record, request.recipe)
        base = recipe
    elif request.weights == RANDOM != weights and "scratch" in record.recipes:
        recipe_name, recipe = "scratch", record.recipes["scratch"]
        base = recipe
    weights = find_weights(record, request.weights or weights)
    recipe = recipe.with_values(request.file_settings)
    inherited = _inherited(recipe, base, request.file_settings)
    recipe = recipe.with_values(request.settings)
    refuse_missing_backbone(recipe, record)
    teachers, unlabelled, told = _taught_by(request, repeated)
    if teachers:
        recipe, changed = taught_recipe(recipe, given, inherited)
        told = [*told, *changed]
    _refuse_idle_teaching(recipe, teachers, unlabelled)
    refuse_without_effect(recipe, given, taught=bool(teachers))
    _refuse_dropout_twice(recipe, request.options)
    find_source(source)  # a mistyped path is reported before large packages are imported
    return Plan(
        architecture=record,
        source=source,
        image=_changed(image, request.image),
        weights=weights,
        options=options | dict(request.options),
        recipe_name=recipe_name,
        recipe=recipe,
        seed=_first(request.seed, lambda run: run.seed, repeated),
        split_seed=_first(request.split_seed, lambda run: run.info.split_seed, repeated),
        notes=(*told, *effect_notes(recipe, given, weights)),
        teachers=teachers,
        unlabelled=unlabelled,
    )


def _inherited(recipe: Recipe, base: Recipe, file: Mapping[str, Any]) -> frozenset[str]:
    """Names of the fields in which a plan file or a repeated run differs from the recipe it starts from.

    Plan files written by zoo contain all fields, except an augmentation, which they name only if it is a function.
    """
    was = base.settings()
    differ = {name for name, value in recipe.settings().items() if name not in was or was[name] != value}
    return frozenset(differ | ({"augmentation"} & file.keys()))


def _taught_by(request: TrainRequest, repeated: Run | None) -> tuple[tuple[Path, ...], Path | None, list[str]]:
    """Teachers, the folder of photos without labels, and notes on the teachers of a repeated run."""
    known = repeated.info.taught if repeated else None
    unlabelled = request.unlabelled or (Path(known.unlabelled.source) if known and known.unlabelled else None)
    unlabelled = unlabelled.expanduser().absolute() if unlabelled else None
    if request.teachers or known is None:
        return find_teachers(request.teachers, request.runs), unlabelled, []
    teachers = find_teachers([Path(teacher.run) for teacher in known.teachers], request.runs)
    notes = [
        f"The teacher {path} has changed since {request.repeat} was trained with it."
        for path, teacher in zip(teachers, known.teachers, strict=True)
        if model_digest(path) != teacher.digest
    ]
    return teachers, unlabelled, notes


def _refuse_idle_teaching(recipe: Recipe, teachers: tuple[Path, ...], unlabelled: Path | None) -> None:
    if unlabelled and not teachers:
        raise UsageError(
            f"--unlabelled {unlabelled} needs a teacher, whose probabilities replace the labels.",
            "Add --teacher RUN, a finished run on the same classes.",
        )
    if teachers and not unlabelled and recipe.teacher_share == 0:
        raise UsageError(
            "The teachers have no effect: recipe field 'teacher_share' is 0, and there are no photos without labels.",
            "Set teacher_share above 0, or leave --teacher out.",
        )


def _refuse_dropout_twice(recipe: Recipe, options: Mapping[str, Any]) -> None:
    if "dropout" in options and recipe.dropout is not None:
        raise UsageError(
            f"--option dropout={options['dropout']} has no effect: the recipe sets dropout to {recipe.dropout:g}.",
            f"Give --dropout {options['dropout']} instead.",
        )


def best_pretrained() -> tuple[str, float] | None:
    """The architecture whose weights have the best ImageNet validation accuracy, and that accuracy.

    Architectures whose weights must be downloaded, and names that two distributions offer, are excluded.
    """
    known = architectures()
    offered = [
        (weights.top1, offer.record.name)
        for offer in known
        if offer.record.weights and not known.contested(offer.record.name)
        for weights in offer.record.weights[:1]
        if weights.top1 is not None
    ]
    top1, name = max(offered, default=(None, ""))
    return None if top1 is None else (name, top1)


def _first(asked: int | None, of: Callable[[Run], int], repeated: Run | None) -> int:
    if asked is not None:
        return asked
    return of(repeated) if repeated else 0


def _changed(image: ImageSpec, fields: Mapping[str, Any]) -> ImageSpec:
    try:
        return replace(image, **fields)
    except TypeError:
        known = ", ".join(name for name in image.as_dict() if name != "version")
        raise UsageError(f"An ImageSpec has no field {', '.join(fields)}.", f"Known: {known}.") from None
