"""Detects recipe fields that were set but have no effect, or a smaller effect than expected."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from zoo.augmentation import NAMED, RANGES
from zoo.errors import UsageError
from zoo.interfaces import Architecture
from zoo.keras_names import name_and_settings
from zoo.recipe import Recipe
from zoo.training.start import RANDOM


@dataclass(frozen=True)
class _Rule:
    """Fields that have no effect under a condition.

    Args:
        fields: Names of the fields.
        holds: The condition.
        reason: Why they have no effect, as the end of a sentence.
        remedy: How to give them an effect, as an instruction.
    """

    fields: tuple[str, ...]
    holds: Callable[[Recipe], bool]
    reason: str
    remedy: str


def _only_chooses(recipe: Recipe) -> bool:
    return recipe.head == "chosen" and not recipe.epochs


_OF_TRAINING = (
    "optimizer",
    "loss",
    "schedule",
    "warmup_epochs",
    "weight_decay",
    "clip_norm",
    "batch_size",
    "mixup_alpha",
    "label_smoothing",
    "early_stopping_epochs",
    "ema_momentum",
    "dropout",
)

_RULES = (
    _Rule(
        _OF_TRAINING,
        _only_chooses,
        "the recipe chooses a head in closed form and trains no epochs (head is chosen, epochs is 0)",
        "Set epochs to train on images, or set head_epochs and set head to trained",
    ),
    _Rule(
        ("calibrate",),
        lambda recipe: recipe.head == "chosen" and not recipe.epochs and recipe.calibrate == "none",
        "a head chosen in closed form is always calibrated by its cross-validation",
        "Set head to trained",
    ),
    _Rule(
        ("precision",),
        lambda recipe: _only_chooses(recipe) and recipe.precision == "mixed_bfloat16",
        "a head is chosen in closed form on features in float32",
        "Set epochs to train on images",
    ),
    _Rule(
        ("weight_decay",),
        lambda recipe: name_and_settings(recipe.optimizer)[0].lower() == "adam",
        "the optimizer adam does not decay weights",
        "Use adamw, lamb or sgd",
    ),
    _Rule(
        ("learning_rate", "min_steps", "unfreeze"),
        lambda recipe: not recipe.epochs,
        "the recipe trains only the head (epochs is 0)",
        "Set epochs to train on images, or set head_learning_rate for the head",
    ),
    _Rule(
        ("batch_norm_momentum",),
        lambda recipe: not recipe.epochs or not recipe.freezes or recipe.unfreeze == 0,
        "no layers of the backbone are trained after the head",
        "Set epochs, and either set head_epochs or set head to chosen",
    ),
    _Rule(
        ("head_learning_rate", "head_views"),
        lambda recipe: not recipe.head_epochs,
        "the recipe has no phase that trains only the head (head_epochs is 0)",
        "Set head_epochs, or set learning_rate for training on images",
    ),
    _Rule(
        ("teacher_views",),
        lambda recipe: recipe.ranges.changes_nothing and recipe.teacher_views != 1,
        "the augmentation changes nothing, so all views of an image are the same",
        "Set an augmentation",
    ),
    _Rule(
        ("augmentation", *RANGES),
        lambda recipe: not recipe.epochs and recipe.head_views == 1,
        "the recipe trains only the head, on images without augmentation (head_views is 1)",
        "Set head_views to 2 or more, or epochs to train on images",
    ),
    _Rule(
        ("head_views",),
        lambda recipe: recipe.ranges.changes_nothing,
        "the augmentation changes nothing, so all views of an image are the same",
        "Set an augmentation",
    ),
    _Rule(
        ("aspect",),
        lambda recipe: recipe.ranges.aspect == "free" and recipe.ranges.view == (1.0, 1.0),
        "the view is always the whole image (from 1 to 1)",
        "Set a view, such as 0.8,1.2",
    ),
)


#: Rules for a run without teachers.
_UNTAUGHT_RULES = (
    _Rule(("teacher_share", "teacher_views"), lambda recipe: True, "the run has no teacher", "Name one with --teacher"),
    *_RULES,
)


def refuse_without_effect(recipe: Recipe, given: Collection[str], taught: bool = False) -> None:
    """Raises ``UsageError`` if a field was set that has no effect in a recipe.

    Args:
        recipe: The final recipe.
        given: Names of the fields that were set explicitly.
        taught: Whether the run has teachers.
    """
    found = _without_effect(recipe, given, _RULES if taught else _UNTAUGHT_RULES)
    if found:
        raise UsageError(
            " ".join(f"Recipe field '{field}' has no effect: {rule.reason}." for field, rule in found.items()),
            " ".join(dict.fromkeys(f"{rule.remedy}, or omit the field." for rule in found.values())),
        )


def effect_notes(recipe: Recipe, given: Collection[str], weights: str) -> list[str]:
    """Sentences on fields with a smaller effect than expected.

    Args:
        recipe: The final recipe.
        given: Names of the fields that were set explicitly.
        weights: The initial weights.
    """
    notes = []
    # With `min_steps`, training on images has more epochs than `epochs`. The number depends on the data.
    phases = [("the head", recipe.head_epochs), ("images", 0 if recipe.min_steps else recipe.epochs)]
    lengths = [(name, epochs) for name, epochs in phases if epochs]
    for name, epochs in lengths:
        if "warmup_epochs" in given and recipe.warmup_epochs > epochs / 5:
            notes.append(
                f"Warm-up takes at most a fifth of the epochs: for the {epochs} epochs on {name}, it takes "
                f"{epochs / 5:g} instead of {recipe.warmup_epochs:g}."
            )
    patience, longest = recipe.early_stopping_epochs, max((epochs for _, epochs in lengths), default=0)
    known = not (recipe.epochs and recipe.min_steps)
    if "early_stopping_epochs" in given and known and patience and patience >= longest - 1:
        notes.append(
            f"Early stopping has no effect: it waits for {patience} epochs without improvement, but only {longest}"
            " epochs are trained."
        )
    if weights == RANDOM and (recipe.head_epochs or recipe.unfreeze < 1 or _only_chooses(recipe)):
        notes.append("A frozen backbone without pretrained weights keeps its random weights. Expect a low accuracy.")
    return notes


def refuse_missing_backbone(recipe: Recipe, architecture: Architecture) -> None:
    """Raises ``UsageError`` if a recipe freezes the backbone of an architecture that declares none."""
    if architecture.backbone is None and recipe.freezes:
        raise UsageError(
            f"The recipe trains a head on a frozen backbone, but {architecture.name} declares no backbone.",
            "Use --head trained --head-epochs 0 --unfreeze 1, or another architecture.",
        )


def _without_effect(recipe: Recipe, given: Collection[str], rules: Iterable[_Rule]) -> dict[str, _Rule]:
    """The first rule that applies to each field."""
    values = recipe.settings()
    found: dict[str, _Rule] = {}
    for rule in rules:
        for field in rule.fields:
            if field in given and not _asks_nothing(field, recipe, values.get(field)) and rule.holds(recipe):
                found.setdefault(field, rule)
    return found


def _asks_nothing(field: str, recipe: Recipe, value: object) -> bool:
    """Whether a value disables a feature."""
    if field == "augmentation":
        return recipe.ranges.changes_nothing
    if field in RANGES:
        return value == getattr(NAMED["none"], field) or value == "auto"
    return value == {"weight_decay": 0, "min_steps": 0, "unfreeze": 0, "head_views": 1}.get(field)
