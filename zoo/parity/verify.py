"""Compares an exported file and Keras on the same image files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from zoo.data import VAL, ImageData
from zoo.errors import DataError
from zoo.evaluation import Predictions
from zoo.evaluation.predict import predict
from zoo.evaluation.trained import TrainedModel, model_digest
from zoo.exported import MappingRuntime, Runtime, has_map
from zoo.interfaces import Exporter
from zoo.machine import installed, versions
from zoo.parity.ask import TensorError, ask
from zoo.parity.contract import check_contract, precision_of
from zoo.parity.device import PIXELS_TOLERANCE, Device
from zoo.parity.failures import failures
from zoo.parity.gates import Agreed, GateResult, Gates, Paired, default_gates
from zoo.parity.maps import ExpectedMaps, MapParity, MapReader, compare_maps
from zoo.parity.result import Verification, described
from zoo.parity.stored import stored_problem
from zoo.parity.unused import Unused, choice_of_file, recorded_choice
from zoo.parity.values import Values, by_label, compare_values

#: Called with the number of images done and of all images.
Progress = Callable[[int, int], None]


def verify(
    exporter: Exporter,
    path: Path,
    reference: TrainedModel,
    data: ImageData,
    split: str,
    gates: Gates | None = None,
    threads: int = 1,
    progress: Progress | None = None,
    expected: NDArray[np.float32] | None = None,
    unused: Unused | None = None,
    maps: ExpectedMaps | None = None,
    device: Device | None = None,
) -> Verification:
    """Compares an exported file with the Keras model from which it was made, on every image of a split.

    For the exported file, each image file is decoded and resized with the preprocessing in its metadata, and predicted
    alone, as on a device. Keras predicts the pixels of ``data``.

    Args:
        exporter: The exporter of the file's format.
        path: The exported file.
        reference: The Keras model.
        data: Its images, preprocessed for the reference.
        split: The split.
        gates: Limits. ``None``: the default limits of the file's precision.
        threads: Number of threads of the runtime.
        progress: Called for Keras and the file in turn, and for the further images.
        expected: Predictions of Keras, if known: ``keras_predictions`` on the same split.
        unused: Further images for the gate of agreement, if there are any.
        maps: Evidence maps of Keras on the same split, if the file has a map.
        device: The same file on another processor, which predicts instead of this machine.

    Raises:
        DataError: The split is empty, the labels of the data are not those of the model, or an image cannot be read.
        ExportError: The exported file cannot be read or executed.
    """
    indices = _indices(reference, data, split)
    files = exporter.files(path)
    metadata = exporter.read_metadata(path)
    runtime: Runtime = device or exporter.load(path, threads)
    digest = model_digest(reference.load())
    contract = check_contract(runtime.inputs, runtime.outputs, metadata, reference, digest)
    precision = precision_of(metadata, contract.inputs)
    if metadata and (problem := stored_problem(exporter, path, precision, reference.load())):
        contract = replace(contract, problems=(*contract.problems, problem))
    if note := exporter.notes.get(precision):
        contract = replace(contract, notes=(*contract.notes, note))
    limits = gates or default_gates(precision)
    spec = metadata.image if metadata else reference.image
    tensor: TensorError | None = None
    values: Values | None = None
    judged: tuple[GateResult, ...] = ()
    mapped: MapParity | None = None
    if contract.askable:
        if expected is None:
            expected = keras_predictions(reference, data, split, progress)
        names = tuple(data.names[index] for index in indices)
        if maps is not None and has_map(runtime):
            assert isinstance(runtime, MappingRuntime)
            reader = MapReader(runtime, maps.classes)
            outputs, tensor = ask(reader, spec, data, indices, progress, device)
            mapped = compare_maps(maps, reader.maps, names, precision)
        else:
            outputs, tensor = ask(runtime, spec, data, indices, progress, device)
        keras = Predictions(reference.labels, names, data.classes[indices], expected)
        labels = metadata.labels if metadata else reference.labels
        others = None
        if unused is not None:
            found, _ = ask(runtime, spec, unused.data, unused.indices, progress, device)
            others = by_label(found, labels, keras.labels)
        chosen = None if split == VAL else recorded_choice(reference.run)
        values = compare_values(keras, outputs, labels, chosen, choice_of_file(chosen, unused, others))
        judged = limits.judge(
            difference=values.difference.max if values.difference else None,
            flip_margin=values.flip_margin,
            agreed=_agreed(values.agreeing, {split: len(indices)}, unused, others),
            paired=Paired(images=len(indices), only_keras=values.only_keras, only_file=values.only_file),
        )
    return Verification(
        **described(files),
        format=exporter.name,
        precision=precision,
        metadata=metadata,
        reference=reference.run.name if reference.run else reference.name,
        architecture=reference.architecture,
        data=PurePath(data.source).name,
        data_digest=data.digest,
        split=split,
        n=len(indices),
        image=spec,
        contract=contract,
        tensor=tensor,
        values=values,
        limits=limits,
        gates=judged,
        failures=(
            *failures(contract, tensor, values, judged, precision, len(indices), PIXELS_TOLERANCE if device else 0),
            *(mapped.failures if mapped else ()),
        ),
        threads=threads,
        versions=versions() | installed(exporter.versions),
        map=mapped,
        processor=device.processor if device else None,
    )


def _agreed(
    agreeing: int, splits: dict[str, int], unused: Unused | None, others: NDArray[np.float32] | None
) -> list[Agreed]:
    """The images of the split, and these together with the unused ones. The limit must be met on both sets."""
    own = Agreed(splits=splits, agreeing=agreeing)
    if unused is None or others is None:
        return [own]
    same = np.isfinite(others).all(axis=1) & (others.argmax(axis=1) == unused.expected.argmax(axis=1))
    return [own, Agreed(splits={**splits, **Counter(unused.data.splits)}, agreeing=agreeing + int(same.sum()))]


def keras_predictions(
    reference: TrainedModel, data: ImageData, split: str, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Predictions of Keras on a split, float32 ``(n, classes)``, computed once for all files of a model.

    Raises:
        DataError: The split is empty, or the labels of the data are not those of the model.
    """
    return predict(reference.load(), data, _indices(reference, data, split), progress)


def _indices(reference: TrainedModel, data: ImageData, split: str) -> NDArray[np.int64]:
    for place, (found, wanted) in enumerate(zip_longest(data.labels, reference.labels)):
        if found != wanted:
            raise DataError(
                f"Class {place} of the images is {found!r}, but that of the model {reference.name} is {wanted!r}.",
                "Load the images with the model's labels.",
            )
    if data.spec != reference.image:
        raise DataError(
            f"The images were preprocessed as {data.spec}, but the model {reference.name} expects {reference.image}."
        )
    indices = data.indices(split)
    if not indices.size:
        raise DataError(f"'{data.source}' has no {split} images to verify with.", "Give others with --data.")
    return indices
