"""What teachers make of a recipe."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from zoo.augmentation import RANGES
from zoo.errors import UsageError
from zoo.recipe import Recipe

# docs/decisions/0022-teachers.md
SHARE = 0.7
VIEWS = 8

#: Of a head that would have been chosen in closed form, which learns nothing from teachers (docs/decisions/0020).
HEAD_EPOCHS = 60


def taught_recipe(recipe: Recipe, given: Collection[str]) -> tuple[Recipe, list[str]]:
    """The recipe of a student, and sentences on what is different.

    Args:
        recipe: With all fields as they would be without teachers.
        given: Names of fields that somebody set.

    Raises:
        UsageError: Somebody set a head that is chosen, or two numbers of views.
    """
    values: dict[str, Any] = {}
    notes = []
    if recipe.head == "chosen":
        if "head" in given:
            raise UsageError(
                "Recipe field 'head' is chosen, and a head that is chosen in closed form does not learn from teachers.",
                f"Leave it out: with teachers the head trains by epochs, {HEAD_EPOCHS} of them unless --head-epochs"
                " says otherwise.",
            )
        values["head_epochs"] = HEAD_EPOCHS
        notes.append(
            f"With teachers the head trains by epochs, as with --head-epochs {HEAD_EPOCHS}: a head that is chosen in"
            " closed form does not learn from them."
        )
    if recipe.teacher_share is None:
        values["teacher_share"] = SHARE
    views = recipe.teacher_views
    if "head_views" in given and views not in (None, recipe.head_views):
        raise UsageError(
            f"Recipe fields 'head_views' and 'teacher_views' are {recipe.head_views} and {views}, and the head trains"
            " on the views that the teachers predict.",
            "Set one of them.",
        )
    if views is None and "head_views" in given:
        views = values["teacher_views"] = recipe.head_views
    plain = recipe.ranges.changes_nothing
    if plain and views != 1 and "augmentation" not in given:
        values["augmentation"] = "strong"
        values |= {name: getattr(recipe.ranges, name) for name in RANGES if name in given}
        notes.append("The augmentation is strong: teachers predict augmented versions of the photos.")
        plain = False
    if views is None:
        views = values["teacher_views"] = 1 if plain else VIEWS
    if recipe.head_epochs or "head_epochs" in values:
        values["head_views"] = views
    return recipe.with_values(values), notes
