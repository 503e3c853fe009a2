"""The result of ``build``: names, shapes and types, with raw pixels as input and probabilities as output."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.evaluation.predict import predict_inputs
from zoo.exported import INPUT, OUTPUT
from zoo.testing.result import CheckError
from zoo.testing.subject import Subject


def check_builds(subject: Subject) -> str:
    own, small = subject.architecture.image, subject.image
    other = (small.height_px, small.width_px * 3 // 2, 3)
    if small == own:
        other = (own.height_px * 3 // 2, own.width_px * 3 // 2, 3)
    told = []
    for shape, classes in ((own.input_shape, 2), (small.input_shape, 10), (other, 2)):
        model = subject.build(shape, classes)
        _check_ends(model)
        told.append(f"{shape[1]}x{shape[0]} px and {classes} classes: {model.count_params():,} parameters")
    return "; ".join(told)


def _check_ends(model: keras.Model) -> None:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        seen = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise CheckError("one input and one output", seen, "Return keras.Model(image, probabilities).")
    (image,), (output,) = model.inputs, model.outputs
    if image.name != INPUT:
        mend = f"keras.Input(input_shape, name='{INPUT}')"
        raise CheckError(f"the input is called '{INPUT}'", f"'{image.name}'", mend)
    if model.output_names != [OUTPUT]:
        mend = f"layers.Dense(num_classes, activation='softmax', dtype='float32', name='{OUTPUT}')"
        raise CheckError(f"the last layer is called '{OUTPUT}'", f"'{model.output_names[0]}'", mend)
    for kind, tensor in (("input", image), ("output", output)):
        if tensor.dtype != "float32":
            mend = "Pixels are cast by Keras; do not name another dtype."
            raise CheckError(f"the {kind} is float32", str(tensor.dtype), mend)


def check_probabilities(subject: Subject) -> str:
    pixels = noise(subject.image.input_shape)
    for classes in (2, 10):
        found = predict_inputs(subject.build(subject.image.input_shape, classes), pixels, len(pixels))
        _check_rows(found, classes, "float32", 1e-5)
    model = subject.build(subject.image.input_shape, 2, "mixed_bfloat16")
    if model.outputs[0].dtype != "float32":
        raise CheckError(
            "the probabilities are float32 under the policy mixed_bfloat16, which training may choose",
            str(model.outputs[0].dtype),
            "Give the last layer dtype='float32': probabilities of half precision do not sum to 1.",
        )
    _check_rows(predict_inputs(model, pixels, len(pixels)), 2, "mixed_bfloat16", 1e-5)
    return "for 2 and 10 classes, in float32 and in mixed_bfloat16"


def _check_rows(found: NDArray[np.float32], classes: int, policy: str, tolerance: float) -> None:
    about = f"{classes} classes, {policy}"
    if found.shape[1:] != (classes,):
        seen = f"shape {found.shape}"
        raise CheckError(f"one output per class ({about})", seen, "The last layer has num_classes outputs.")
    if not np.isfinite(found).all():
        seen = f"{int((~np.isfinite(found)).sum())} of {found.size} values are not"
        mend = "Raw pixels go from 0 to 255: is the normalisation inside the model? Does a layer divide by zero?"
        raise CheckError(f"outputs are finite ({about})", seen, mend)
    off = float(np.abs(found.sum(axis=1) - 1).max())
    if off > tolerance or found.min() < 0:
        raise CheckError(
            f"rows of probabilities, from 0 to 1 and summing to 1 within {tolerance:g} ({about})",
            f"values from {found.min():.4g} to {found.max():.4g}, sums up to {off:.2g} away from 1",
            "Are these logits? End with Dense(num_classes, activation='softmax', dtype='float32').",
        )


def noise(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Raw pixels: noise, all black, all white, and a gray ramp; uint8 ``(6, height, width, 3)``."""
    images = np.random.default_rng(0).integers(0, 256, (6, *shape)).astype(np.uint8)
    images[1], images[2] = 0, 255
    images[3] = np.linspace(0, 255, shape[1]).astype(np.uint8)[:, None]
    return images
