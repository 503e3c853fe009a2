"""Adapts a recipe to training with teachers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from zoo.augmentation import RANGES
from zoo.errors import UsageError
from zoo.recipe import Recipe

# docs/decisions/0022-teachers.md
SHARE = 0.7
VIEWS = 8

#: Number of epochs of the head in a recipe that chooses a head in closed form. Such a head would gain nothing from
#: teachers (docs/decisions/0020-heads.md).
HEAD_EPOCHS = 60

#: Both fields set the number of views of an image. They must be equal, because the head is trained on the views for
#: which the teachers make predictions.
_VIEWS = frozenset(("head_views", "teacher_views"))


def taught_recipe(recipe: Recipe, given: Collection[str], inherited: Collection[str] = ()) -> tuple[Recipe, list[str]]:
    """The recipe of a student, and sentences on what was changed.

    Args:
        recipe: The final recipe without teachers.
        given: Names of the fields that were set explicitly.
        inherited: Names of the fields set by a plan file or a repeated run. ``given`` has precedence.

    Raises:
        UsageError: A head chosen in closed form was requested, or two different numbers of views were requested.
    """
    values: dict[str, Any] = {}
    notes = []
    if recipe.head == "chosen":
        if "head" in given:
            raise UsageError(
                "Recipe field 'head' is 'chosen', but a head chosen in closed form cannot learn from teachers.",
                f"Omit it. With teachers, the head is trained for {HEAD_EPOCHS} epochs, unless --head-epochs is set.",
            )
        values["head_epochs"] = HEAD_EPOCHS
        notes.append(
            f"With teachers, the head is trained for {HEAD_EPOCHS} epochs, as with --head-epochs {HEAD_EPOCHS}, "
            "because a head chosen in closed form cannot learn from them. A chosen head without a teacher may be more "
            "accurate: train one too, and use `zoo compare`."
        )
    if recipe.teacher_share is None:
        values["teacher_share"] = SHARE
    has_head = bool(recipe.head_epochs or "head_epochs" in values)
    views = _given_views(recipe, given, inherited, has_head)
    plain = recipe.ranges.changes_nothing
    if plain and views != 1 and "augmentation" not in {*given, *inherited}:
        kept = {name: getattr(recipe.ranges, name) for name in RANGES if name in {*given, *inherited}}
        strong = recipe.with_values({"augmentation": "strong", **kept})
        plain = strong.ranges.changes_nothing
        if not plain:
            values |= {"augmentation": "strong", **kept}
            notes.append(
                "The augmentation is set to strong, because teachers make predictions for augmented versions of the "
                "photos."
            )
    if views is None or (plain and not _VIEWS.intersection(given)):  # without augmentation, all views are equal
        views = 1 if plain else VIEWS
    values["teacher_views"] = views
    if has_head:
        values["head_views"] = views
    return recipe.with_values(values), notes


def _given_views(recipe: Recipe, given: Collection[str], inherited: Collection[str], has_head: bool) -> int | None:
    """The requested number of views. ``None`` if it was not set."""
    for names in (given, inherited):
        asked = {name: getattr(recipe, name) for name in sorted(_VIEWS.intersection(names))}
        if not has_head:
            asked.pop("head_views", None)
        numbers = {number for number in asked.values() if number is not None}
        if len(numbers) > 1:
            raise UsageError(
                f"Recipe fields 'head_views' and 'teacher_views' are {recipe.head_views} and {recipe.teacher_views},"
                " but the head is trained on the views for which the teachers make predictions.",
                "Set one of them.",
            )
        if asked:
            return next(iter(numbers), None)
    return recipe.teacher_views
