"""The record itself, before anything is built."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from zoo.errors import ZooError
from zoo.image_spec import ImageSpec
from zoo.interfaces import Weights
from zoo.recipe import Recipe
from zoo.registry import architectures
from zoo.testing.result import CheckError
from zoo.testing.subject import Subject

#: Maximum length of a line of `zoo list`.
_SUMMARY_LENGTH = 120


def check_record(subject: Subject) -> str:
    architecture = subject.architecture
    # A plugin may have filled the record with values of any type.
    for expected, seen, mend in (*_fields(architecture), *_recipes(architecture), *_weights(architecture.weights)):
        raise CheckError(expected, seen, mend)
    if architecture.name in architectures():
        _check_uncontested(architecture.name)
    weights = ", ".join(weights.name for weights in architecture.weights) or "none"
    return f"recipes {', '.join(architecture.recipes)}; weights {weights}; backbone {architecture.backbone or 'none'}"


#: What was expected, what was found, and the most likely fix.
Offence = tuple[str, str, str]


def summary_offences(summary: Any) -> Iterator[Offence]:
    """Yields what is wrong with a summary, which ``zoo list`` shows on one line."""
    if not isinstance(summary, str) or not summary.strip() or len(summary.splitlines()) != 1:
        yield "a summary of one line", f"{summary!r:.80}", "Describe its purpose in one line."
    elif len(summary) > _SUMMARY_LENGTH:
        seen = f"{len(summary)} characters"
        yield f"a summary of {_SUMMARY_LENGTH} characters at most", seen, "Shorten it: `zoo list` shows it on a line."


def _fields(architecture: Any) -> Iterator[Offence]:
    yield from summary_offences(architecture.summary)
    if not callable(architecture.build):
        yield "build is a function", repr(architecture.build), "Name a function that returns a keras.Model."
    elif problem := _unbindable(architecture.build, {}):
        mend = "Its parameters begin with (input_shape, num_classes); give the others default values."
        yield "build can be called as build(input_shape, num_classes)", problem, mend
    for name, kind, value in (
        ("image", ImageSpec, architecture.image),
        ("weights", tuple, architecture.weights),
        ("backbone", (str, type(None)), architecture.backbone),
    ):
        if not isinstance(value, kind):
            seen = f"{type(value).__name__} {value!r:.60}"
            yield f"{name} has the type that the record declares", seen, "help(zoo.Architecture) shows the types."


def _recipes(architecture: Any) -> Iterator[Offence]:
    for name, recipe in architecture.recipes.items():
        if not isinstance(recipe, Recipe):
            yield f"recipe '{name}' is a zoo.Recipe", f"{recipe!r:.80}", "Write Recipe(...)."
            continue
        if architecture.backbone is None and recipe.freezes:
            expected = f"recipe '{name}' trains what the architecture has"
            seen = "it trains a head on a frozen backbone, but no backbone is declared"
            yield expected, seen, "Declare backbone='<layer>', or set head_epochs=0 and unfreeze=1."
        if recipe.dropout is not None and (problem := _unbindable(architecture.build, {"dropout": recipe.dropout})):
            mend = "Give build a parameter `dropout`, or leave dropout out of the recipe."
            yield f"build takes the dropout of recipe '{name}'", problem, mend


def _unbindable(build: Any, options: dict[str, Any]) -> str:
    try:
        inspect.signature(build).bind((224, 224, 3), 2, **options)
    except TypeError as error:
        return f"build{inspect.signature(build)}: {error}"
    except ValueError:
        return ""  # a callable without a signature; building shows whether it works
    return ""


def _weights(offered: tuple[Weights, ...]) -> Iterator[Offence]:
    names = [weights.name for weights in offered]
    for name in sorted({name for name in names if names.count(name) > 1} | ({"none"} & set(names))):
        expected = "all weights have unique names, and none has the name 'none'"
        yield expected, f"'{name}' among {', '.join(names)}", "Rename it: `--weights` takes the name."
    for weights in offered:
        try:
            labels = weights.labels()
        except ZooError as error:
            yield f"weights '{weights.name}' return their labels", f"{error}", "Ship the class names in the package."
            continue
        if len(labels) < 2 or len(set(labels)) < len(labels):
            seen = f"{len(labels)} labels, {len(set(labels))} of them different"
            mend = "Distinguish equal names, such as 'crane (bird)' and 'crane (machine)'."
            yield f"weights '{weights.name}' have two labels or more, no two of them equal", seen, mend


def _check_uncontested(name: str) -> None:
    try:
        architectures().offer(name)
    except ZooError as error:
        mend = error.hint or "Uninstall one of them."
        raise CheckError("only one distribution provides the name", error.message, mend) from error
