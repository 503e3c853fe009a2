"""The contract of every exported file: names, shapes, types, labels and preprocessing. It is checked before any
prediction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from zoo.evaluation.trained import TrainedModel
from zoo.exported import INPUT, MAP, OUTPUT, Metadata, TensorInfo
from zoo.image_spec import ImageSpec
from zoo.interfaces import PRECISIONS

Shape = tuple[int | None, ...]


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The result of the check.

    Args:
        inputs, outputs: Inputs and outputs of the file.
        problems: Sentences on violations, each of which fails the file.
        notes: Further sentences, which do not fail the file.
        askable: Whether the tensors of the file allow predictions at all.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    askable: bool


def check_contract(
    inputs: Sequence[TensorInfo],
    outputs: Sequence[TensorInfo],
    metadata: Metadata | None,
    reference: TrainedModel,
    digest: str,
) -> Contract:
    """Compares a file's tensors and metadata with those of the reference.

    Args:
        inputs, outputs: Inputs and outputs of the file.
        metadata: Metadata of the file. ``None`` if it has no zoo metadata.
        reference: The reference model.
        digest: ``model_digest`` of its weights.
    """
    spec = metadata.image if metadata else reference.image
    wanted_input: Shape = (None, *spec.input_shape)
    wanted_output: Shape = (None, len(reference.labels))
    precision = precision_of(metadata, inputs)
    has_map = [output.name for output in outputs[1:]] == [MAP]
    problems = [
        *_tensor("input", inputs, INPUT, wanted_input, "uint8" if precision == "int8" else "float32", precision),
        *_tensor("output", outputs[: 1 if has_map else None], OUTPUT, wanted_output, "float32", precision),
        *(_map(outputs[1], wanted_output, precision) if has_map else ()),
    ]
    notes = []
    if metadata is None:
        problems.append("The file has no zoo metadata: its labels, preprocessing and precision are not known.")
        notes.append("The file contains no preprocessing, so that of the model was used.")
    else:
        problems += [
            *_labels(metadata.labels, reference.labels),
            *_image(metadata.image, reference.image),
            *_precision(metadata.precision),
            *_model(metadata, digest),
        ]
        if metadata.architecture != reference.architecture:
            notes.append(
                f"The architecture of the file is {metadata.architecture}; that of the model is"
                f" {reference.architecture}."
            )
    return Contract(
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        problems=tuple(problems),
        notes=tuple(notes),
        askable=_only(inputs, wanted_input) and _only(outputs[: 1 if has_map else None], wanted_output),
    )


def precision_of(metadata: Metadata | None, inputs: Sequence[TensorInfo]) -> str:
    """The precision in the metadata, or, without metadata, the one suggested by the input."""
    if metadata:
        return metadata.precision
    return "int8" if inputs and inputs[0].dtype in ("uint8", "int8") else "float32"


def _tensor(kind: str, found: Sequence[TensorInfo], name: str, shape: Shape, dtype: str, precision: str) -> list[str]:
    if len(found) != 1:
        names = ", ".join(repr(item.name) for item in found) or "none"
        return [f"The file has {len(found)} {kind}s ({names}); expected one, '{name}'."]
    (item,) = found
    problems = []
    if item.name != name:
        problems.append(f"The name of the {kind} is '{item.name}'; expected '{name}'.")
    if not _fits(item.shape, shape):
        problems.append(f"The {kind} has the shape {shape_text(item.shape)}; expected {shape_text(shape)}.")
    if item.dtype != dtype:
        problems.append(f"The {kind} is {item.dtype}; expected {dtype} in a file of precision {precision}.")
    if (item.scale, item.zero_point) != (1, 0):
        problems.append(
            f"The {kind} is quantised with scale {item.scale:g} and zero point {item.zero_point}; expected 1 and 0."
        )
    return problems


def _map(found: TensorInfo, output: Shape, precision: str) -> list[str]:
    """The second output of a file with a map may have any height and width."""
    places = found.shape[1:3] if len(found.shape) == 4 else (None, None)
    return _tensor("map", [found], MAP, (None, *places, *output[1:]), "float32", precision)


def _only(found: Sequence[TensorInfo], shape: Shape) -> bool:
    return len(found) == 1 and _fits(found[0].shape, shape)


def _fits(found: Shape, wanted: Shape) -> bool:
    """Whether a shape matches. Images are predicted one by one, so the batch size may be free or 1."""
    return len(found) == len(wanted) and found[0] in (None, 1) and found[1:] == wanted[1:]


def shape_text(shape: Shape) -> str:
    """Writes ``(None, 224, 224, 3)`` as ``(batch, 224, 224, 3)``. Other free dimensions are question marks."""
    sizes = ["?" if size is None else str(size) for size in shape]
    if shape[:1] == (None,):
        sizes[0] = "batch"
    return f"({', '.join(sizes)})"


def _labels(found: tuple[str, ...], wanted: tuple[str, ...]) -> list[str]:
    if found == wanted:
        return []
    if len(found) != len(wanted):
        return [f"The file has {len(found)} labels, but the model has {len(wanted)}.{_strangers(found, wanted)}"]
    places = [place for place, pair in enumerate(zip(found, wanted, strict=True)) if pair[0] != pair[1]]
    first = places[0]
    others = f" Other labels that differ: {len(places) - 1}." if len(places) > 1 else ""
    return [f"Output {first} has the label '{found[first]}' in the file, but '{wanted[first]}' in the model.{others}"]


def _strangers(found: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    missing, strange = list(Counter(wanted) - Counter(found)), list(Counter(found) - Counter(wanted))
    return (f" Missing: '{missing[0]}'." if missing else "") + (f" Additional: '{strange[0]}'." if strange else "")


def _image(found: ImageSpec, wanted: ImageSpec) -> list[str]:
    have, want = found.as_dict(), wanted.as_dict()
    differing = [f"{name} {have[name]!r} instead of {want[name]!r}" for name in want if have[name] != want[name]]
    return (
        [f"The preprocessing of the file differs from that of the model: {', '.join(differing)}."] if differing else []
    )


def _model(metadata: Metadata, digest: str) -> list[str]:
    if metadata.model_digest == digest:
        return []
    return [
        f"The file was made from other weights: those of {metadata.source} with the digest "
        f"{metadata.model_digest[:12] or 'none'}. The digest of the model is {digest[:12]}."
    ]


def _precision(found: str) -> list[str]:
    return [] if found in PRECISIONS else [f"The file's precision '{found}' is none of {', '.join(PRECISIONS)}."]
