"""``zoo.yaml``: all settings of ``zoo train`` in a file. Every run writes one, and ``--repeat`` reads one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from zoo.atomic import write_text
from zoo.errors import UsageError, unknown_name
from zoo.records import read_record, refuse_deep
from zoo.registry import datasets
from zoo.training.plan import Plan
from zoo.workflows.planning import TrainRequest
from zoo.yaml_files import read_yaml

NAME = "zoo.yaml"

_HINT = "For valid fields, see the zoo.yaml file in any run folder."


@dataclass(frozen=True, kw_only=True)
class _Image:
    """Preprocessing of photos. Omitted fields have the architecture's default."""

    height_px: int | None = None
    width_px: int | None = None
    resize: str | None = None
    interpolation: str | None = None


@dataclass(frozen=True, kw_only=True)
class _PlanFile:
    """The content of the file. Every field is optional.

    Args:
        recipe: The name of a recipe, or a mapping of recipe fields. Its field ``base`` names the recipe to start from.
        data: A path is relative to the folder of the file.
        teachers: Run folders, relative to the folder of the file.
        unlabelled: A folder, relative to that of the file.
    """

    architecture: str | None = None
    data: str | None = None
    name: str | None = None
    image: _Image = field(default_factory=_Image)
    recipe: str | Mapping[str, Any] | None = None
    weights: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    split_seed: int | None = None
    tensorboard: bool = False
    teachers: tuple[str, ...] = ()
    unlabelled: str | None = None


def read_plan(path: Path, request: TrainRequest) -> TrainRequest:
    """Fills the fields that a request leaves open from a file.

    Args:
        path: The file.
        request: The request, whose own values have precedence.

    Raises:
        UsageError: The file cannot be read, or it has invalid content.
    """
    values = _read(path)
    _refuse_unknown(path, values, _PlanFile, "field")
    try:
        found = read_record(_PlanFile, values)
    except ValueError as error:
        raise UsageError(f"'{path}' cannot be used: {error}.", _HINT) from None
    if isinstance(values.get("image"), Mapping):
        _refuse_unknown(path, values["image"], _Image, "field of 'image'")
    recipe: str | None = found.recipe if isinstance(found.recipe, str) else None
    settings: dict[str, Any] = {}
    if isinstance(found.recipe, Mapping):
        settings = dict(found.recipe)
        recipe = settings.pop("base", None)
    if request.recipe is not None:  # the requested recipe has its own values
        recipe, settings = request.recipe, {}
    image = {name: value for name, value in vars(found.image).items() if value is not None}
    return replace(
        request,
        architecture=request.architecture or found.architecture,
        data=request.data or _beside(path, found.data),
        name=request.name or found.name,
        image={**image, **request.image},
        recipe=recipe,
        file_settings=settings,
        weights=request.weights or found.weights,
        options={**found.options, **request.options},
        seed=found.seed if request.seed is None else request.seed,
        split_seed=found.split_seed if request.split_seed is None else request.split_seed,
        tensorboard=request.tensorboard or found.tensorboard,
        teachers=request.teachers or tuple(_relative_to(path, teacher) for teacher in found.teachers),
        unlabelled=request.unlabelled or (_relative_to(path, found.unlabelled) if found.unlabelled else None),
        repeat=None,
    )


def write_plan(folder: Path, plan: Plan, tensorboard: bool) -> None:
    """Writes ``zoo.yaml``, which can repeat the training, into a run folder."""
    import yaml

    image = plan.image.as_dict()
    del image["version"]
    values = {
        "architecture": plan.architecture.name,
        "data": plan.source,
        "image": image,
        "recipe": {name: _plain(value) for name, value in plan.recipe.settings().items()},
        "weights": plan.weights,
        "options": dict(plan.options),
        "seed": plan.seed,
        "split_seed": plan.split_seed,
        "tensorboard": tensorboard,
    }
    head = f"# zoo train --repeat {NAME} repeats this training. Options on the command line have precedence.\n"
    if plan.teachers:
        values["teachers"] = [str(teacher) for teacher in plan.teachers]
    if plan.unlabelled:
        values["unlabelled"] = str(plan.unlabelled)
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None)
    write_text(folder / NAME, head + text)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _read(path: Path) -> dict[str, Any]:
    try:
        values = read_yaml(path)
        refuse_deep(values)
    except ValueError as error:
        raise UsageError(f"Could not read '{path}': {error}.", _HINT) from error
    if not isinstance(values, dict):
        raise UsageError(f"'{path}' is not a mapping of fields to values.", _HINT)
    return {str(name): value for name, value in values.items()}


def _refuse_unknown(path: Path, values: Mapping[str, Any], record: type, kind: str) -> None:
    known = [item.name for item in fields(record)]
    for name in values:
        if name not in known:
            raise unknown_name(f"{kind} in '{path}'", str(name)[:80], known)


def _beside(path: Path, data: str | None) -> str | None:
    if data is None or data in datasets():
        return data
    return str(_relative_to(path, data))


def _relative_to(path: Path, named: str) -> Path:
    return path.absolute().parent / Path(named).expanduser()
