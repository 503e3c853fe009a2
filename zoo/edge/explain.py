"""From an image to the evidence map of a class."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zoo.atomic import make_folder
from zoo.edge.explanation import CLASS_ACTIVATION, Explanation, free_name, halved
from zoo.edge.sources import listed, upright
from zoo.errors import DataError, UsageError, VerificationError, unknown_name
from zoo.exported import MappingRuntime, Runtime, has_map
from zoo.figures import percent
from zoo.images import ImageError, resize
from zoo.terminal import readable

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from zoo.edge.bundle import Bundle
    from zoo.edge.classify import Classifier


class Found(NamedTuple):
    """The evidence for one class in one image, with the fields of ``Explanation``."""

    place: int
    probability: float
    evidence: NDArray[np.float32]
    method: str = CLASS_ACTIVATION
    logit: float | None = None
    bias: float | None = None


#: Computes the evidence for a class in preprocessed pixels, uint8 ``(height, width, 3)``. The class is the most
#: probable one of those with the given indices, or of all classes for ``None``.
Find = Callable[["NDArray[np.uint8]", Sequence[int] | None], Found]


def explain(
    classifier: Classifier,
    find: Find,
    picture: str | os.PathLike[str] | bytes | NDArray[np.uint8],
    name: str = "",
    label: str | None = None,
) -> Explanation:
    """Computes the evidence map of a class for an image.

    Args:
        classifier: The classifier, with labels and preprocessing.
        find: Computes the evidence.
        picture: A path, the bytes of a file, or pixels: RGB, uint8 ``(height, width, 3)`` of any size.
        name: Name of the image in messages.
        label: The class. ``None``: the predicted class.

    Raises:
        UsageError: The class does not exist.
        ImageError: ``picture`` is not a usable image.
        VerificationError: The model returns values that are not numbers.
    """
    chosen = places_of(label, classifier.labels)
    pixels, remark = upright(picture)
    found = find(resize(pixels, classifier.image), chosen)
    if not (np.isfinite(found.evidence).all() and np.isfinite(found.probability)):
        raise VerificationError(
            "The model returns evidence with values that are not numbers.", "Try run.py --selftest."
        )
    return Explanation(
        file=name,
        label=classifier.labels[found.place],
        probability=found.probability,
        evidence=found.evidence,
        method=found.method,
        photo=halved(pixels),
        size=(pixels.shape[0], pixels.shape[1]),
        image=classifier.image,
        logit=found.logit,
        bias=found.bias,
        remark=remark,
    )


def explain_pictures(bundle: Bundle, classifier: Classifier, options: argparse.Namespace) -> int:
    """``run.py --explain``: writes one image for every photo, and returns the exit code.

    Raises:
        UsageError: The model was exported without a map, or the class does not exist.
    """
    find = map_reader(classifier.runtime, export_with_map(bundle.values))
    places_of(options.label, classifier.labels)  # raises before the first photo is read
    folder = options.out or Path("explained")
    taken: set[str] = set()
    skipped = False
    for name, picture in listed(options.pictures):
        try:
            if isinstance(picture, ImageError):
                raise picture
            found = explain(classifier, find, picture, name, options.label)
        except ImageError as error:
            print(f"Skipped {readable(name)}: {error.reason}.", file=sys.stderr, flush=True)
            skipped = True
            continue
        make_folder(folder)
        path = found.save(folder / free_name(name, taken))
        if options.json:
            print(json.dumps(found.as_dict() | {"picture": str(path)}), flush=True)
        else:
            shown = f"{readable(name)}: {readable(found.label)} {percent(found.probability)}"
            print(f"{shown}\n  {found.summary}\n  {readable(path)}", flush=True)
    return DataError.exit_code if skipped else 0


def places_of(label: str | None, labels: Sequence[str]) -> list[int] | None:
    """The indices of a class name. Two classes may have the same name.

    Raises:
        UsageError: The class does not exist.
    """
    if label is None:
        return None
    places = [place for place, known in enumerate(labels) if known == label]
    if not places:
        raise unknown_name("class", label, labels)
    return places


def likeliest(probabilities: NDArray[np.float32], places: Sequence[int] | None) -> int:
    """The index of the largest probability, among ``places`` or all classes."""
    if places is None:
        return int(probabilities.argmax())
    return max(places, key=lambda place: float(probabilities[place]))


def map_reader(runtime: Runtime, again: str) -> Find:
    """Reads the evidence from the second output of an exported file.

    Args:
        runtime: The file.
        again: The command that exports the file with a map.

    Raises:
        UsageError: The file was exported without a map.
    """
    if not has_map(runtime):
        raise UsageError("The file was exported without an evidence map.", f"To export it with one: {again}")
    assert isinstance(runtime, MappingRuntime)

    def find(pixels: NDArray[np.uint8], places: Sequence[int] | None) -> Found:
        rows, maps = runtime.explain(pixels[None])
        place = likeliest(rows[0], places)
        return Found(place, float(rows[0][place]), np.asarray(maps[0, :, :, place], np.float32))

    return find


def export_with_map(values: Mapping[str, Any]) -> str:
    """The command that exports a file again, with a map.

    Args:
        values: Its ``source``, ``format`` and ``precision``, as in ``spec.json``.
    """
    source = str(values.get("source") or "RUN")
    architecture, opened, weights = source.rstrip(")").partition(" (")
    model = f"{architecture} --weights {weights} --data PHOTOS" if opened else source
    return f"zoo export {model} --format {values.get('format')} --precision {values.get('precision')} --with-map"
