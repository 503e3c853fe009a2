"""Exported files without metadata: class names and preprocessing must be given."""

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

#: Tolerance for the sum of a row of probabilities, which must be 1.
_SUM_TOLERANCE = 0.01


@dataclass(frozen=True, kw_only=True)
class _Named:
    """The fields of a bundle's ``spec.json`` other than the image specification."""

    labels: tuple[str, ...] = ()
    min_confidence: Mapping[str, Any] | None = None


def complete(
    path: Path, metadata: Metadata | None, spec: Path | ImageSpec | None, labels: Labels | None
) -> tuple[ImageSpec, tuple[str, ...], Mapping[str, Any]]:
    """Image specification, labels and other metadata of a file, read from the file or taken from the arguments.

    Args:
        path: The file.
        metadata: Its metadata. ``None`` if zoo did not write any.
        spec: An ``ImageSpec``, a JSON file of one, or ``spec.json`` of a bundle, which also contains the class names.
        labels: Class names.

    Raises:
        UsageError: Something is missing or cannot be read.
    """
    if metadata is not None:
        return metadata.image, metadata.labels, {}
    image, values = _read_spec(spec) if spec else (None, {})
    names = read_labels(labels) if labels else tuple(map(str, values.get("labels", ())))
    missing, hints = [], []
    if not names:
        missing.append("class names")
        hints.append("--labels LABELS.txt, with one class name per line in the order of the outputs")
    if image is None:
        missing.append("a description of the preprocessing")
        hints.append('--spec SPEC.json, such as {"height_px": 224, "width_px": 224, "resize": "squash"}')
    if image is None or not names:
        raise UsageError(
            f"'{path}' has no {' and no '.join(missing)}: it was not exported by zoo.",
            f"Give {'; and '.join(hints)}. The model in the file must take pixels from 0 to 255.",
        )
    return image, names, values


def refuse_unfit(path: Path, runtime: Runtime, image: ImageSpec, labels: tuple[str, ...]) -> None:
    """Tests a file that was not exported by zoo: predicts a gray image and checks the output.

    Raises:
        UsageError: The model takes other inputs, has another number of outputs, or does not return probabilities.
    """
    import numpy as np

    inputs = runtime.inputs
    taken = inputs[0].shape if inputs else ()
    if len(inputs) != 1 or len(taken) != 4 or taken[1:] != image.input_shape or inputs[0].dtype not in _DTYPES:
        found = ", ".join(f"{tensor.dtype} {tensor.shape}" for tensor in inputs)
        raise UsageError(
            f"'{path}' takes {found}; expected one image (batch, {', '.join(map(str, image.input_shape))}) of "
            f"{', '.join(_DTYPES[:-1])} or {_DTYPES[-1]}.",
            "Set height and width in --spec to those of the model. The colour channels must be the last axis.",
        )
    gray = np.full((1, *image.input_shape), 128, np.uint8)
    try:
        output = runtime.predict(gray)
    except Exception as error:  # runtimes raise their own exceptions
        raise UsageError(
            f"'{path}' cannot predict an image: {(str(error).splitlines() or [repr(error)])[0]}"
        ) from error
    if output.shape != (1, len(labels)):
        raise UsageError(
            f"Expected an output of shape (1, {len(labels)}) for {len(labels)} labels. '{path}' returns the shape "
            f"{output.shape}."
        )
    if not (output.min() >= -_SUM_TOLERANCE and abs(float(output.sum()) - 1) <= _SUM_TOLERANCE):
        raise UsageError(
            f"'{path}' does not return probabilities: its outputs for a gray image sum to {float(output.sum()):.3g},"
            " not 1.",
            "Its last layer should be a softmax, in floating point, and its input raw pixels from 0 to 255.",
        )


def _read_spec(path: Path | ImageSpec) -> tuple[ImageSpec, Mapping[str, Any]]:
    if isinstance(path, ImageSpec):
        return path, {}
    hint = "--spec must be the JSON of an ImageSpec, or spec.json of a bundle."
    try:
        values = read_object(path.read_bytes())
        read_record(_Named, values)
        return ImageSpec.from_dict(values.get("image", values)), values
    except OSError as error:
        raise UsageError(f"Could not read '{path}': {error.strerror or error}.", hint) from error
    except UsageError as error:
        raise UsageError(f"'{path}' is not a valid image specification: {error.message}", hint) from error
    except ValueError as error:
        raise UsageError(f"'{path}' cannot be used: {error}.", hint) from error
