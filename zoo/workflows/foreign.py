"""Exported files that do not say what their classes are called and how a photo becomes their input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError
from zoo.image_spec import ImageSpec
from zoo.records import read_object, read_record
from zoo.workflows.finding import Labels, read_labels

if TYPE_CHECKING:
    from zoo.exported import Metadata, Runtime

_DTYPES = ("float32", "float16", "uint8")

#: By how much the sum of a row of probabilities may miss 1.
_SUM_TOLERANCE = 0.01


@dataclass(frozen=True, kw_only=True)
class _Named:
    """What ``spec.json`` of a bundle says beside the image rule."""

    labels: tuple[str, ...] = ()
    min_confidence: Mapping[str, Any] | None = None


def complete(
    path: Path, metadata: Metadata | None, spec: Path | ImageSpec | None, labels: Labels | None
) -> tuple[ImageSpec, tuple[str, ...], Mapping[str, Any]]:
    """Image rule and labels of a file, and all else that is known: from its metadata, or from what stands in for it.

    Args:
        path: The file.
        metadata: Of it; ``None`` where it has none of ours.
        spec: An ``ImageSpec`` or a JSON file of one, or ``spec.json`` of a bundle, which names the classes too.
        labels: Its class names.

    Raises:
        UsageError: Something is missing or cannot be read.
    """
    if metadata is not None:
        return metadata.image, metadata.labels, {}
    image, values = _read_spec(spec) if spec else (None, {})
    names = read_labels(labels) if labels else tuple(map(str, values.get("labels", ())))
    missing, hints = [], []
    if not names:
        missing.append("what its classes are called")
        hints.append("--labels LABELS.txt, one class name a line in the order of its outputs")
    if image is None:
        missing.append("how a photo becomes its input")
        hints.append('--spec SPEC.json, such as {"height_px": 224, "width_px": 224, "resize": "squash"}')
    if image is None or not names:
        raise UsageError(
            f"'{path}' does not say {', nor '.join(missing)}: it has none of zoo's metadata.",
            f"Give {'; and '.join(hints)}. The file itself must take pixels from 0 to 255.",
        )
    return image, names, values


def refuse_unfit(path: Path, runtime: Runtime, image: ImageSpec, labels: tuple[str, ...]) -> None:
    """Asks a file of somebody else's about a gray picture.

    Raises:
        UsageError: It does not take such pictures, has another number of outputs, or returns no probabilities.
    """
    import numpy as np

    inputs = runtime.inputs
    taken = inputs[0].shape if inputs else ()
    if len(inputs) != 1 or len(taken) != 4 or taken[1:] != image.input_shape or inputs[0].dtype not in _DTYPES:
        found = ", ".join(f"{tensor.dtype} {tensor.shape}" for tensor in inputs)
        raise UsageError(
            f"'{path}' takes {found}; expected one picture (batch, {', '.join(map(str, image.input_shape))}) of "
            f"{', '.join(_DTYPES[:-1])} or {_DTYPES[-1]}.",
            "Give its own height and width in --spec. Colour must be the last axis.",
        )
    gray = np.full((1, *image.input_shape), 128, np.uint8)
    try:
        answer = runtime.predict(gray)
    except Exception as error:  # runtimes raise classes of their own
        raise UsageError(
            f"'{path}' does not answer about a picture: {(str(error).splitlines() or [repr(error)])[0]}"
        ) from error
    if answer.shape != (1, len(labels)):
        raise UsageError(
            f"'{path}' answers about one picture with numbers of shape {answer.shape}; there are {len(labels)} labels, "
            f"so expected (1, {len(labels)})."
        )
    if not (answer.min() >= -_SUM_TOLERANCE and abs(float(answer.sum()) - 1) <= _SUM_TOLERANCE):
        raise UsageError(
            f"'{path}' returns no probabilities: those of a gray picture sum to {float(answer.sum()):.3g}.",
            "Its last layer should be a softmax, in floating point, and its input raw pixels from 0 to 255.",
        )


def _read_spec(path: Path | ImageSpec) -> tuple[ImageSpec, Mapping[str, Any]]:
    if isinstance(path, ImageSpec):
        return path, {}
    hint = "It is the JSON of an ImageSpec, or spec.json of a bundle."
    try:
        values = read_object(path.read_bytes())
        read_record(_Named, values)
        return ImageSpec.from_dict(values.get("image", values)), values
    except OSError as error:
        raise UsageError(f"Could not read '{path}': {error.strerror or error}.", hint) from error
    except UsageError as error:
        raise UsageError(f"'{path}' does not say how a photo becomes an input: {error.message}", hint) from error
    except ValueError as error:
        raise UsageError(f"'{path}' cannot be used: {error}.", hint) from error
