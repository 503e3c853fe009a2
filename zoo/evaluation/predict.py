"""Predictions of a Keras model on a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.backend import on_accelerator
from zoo.data import ImageData
from zoo.evaluation.own_device import on_own_device
from zoo.evaluation.predictions import Predictions
from zoo.keras_internals import calls_of, has_calls

if TYPE_CHECKING:
    import keras

    from zoo.evaluation.photo_cluster import PhotoCluster

#: Maximum batch size.
_MOST = 32
#: Maximum number of pixels in a batch on a CPU: eight photos of 224 x 224. Larger batches do not fit into the cache of
#: the processor and need more memory, without a gain. See docs/decisions/0023-memory.md.
_PIXELS = 8 * 224 * 224
#: Maximum size of the features that are kept with the predictions of a split.
_MOST_FEATURES = 64 << 20


def batch_size(shape: Sequence[int]) -> int:
    """The batch size of predictions.

    Args:
        shape: Shape of one input: ``(height, width, 3)`` of an image, ``(features,)`` of a feature vector.
    """
    if len(shape) != 3 or on_accelerator():
        return _MOST
    height, width, _ = shape
    return min(_MOST, max(1, _PIXELS // (height * width)))


@dataclass(frozen=True)
class Copies:
    """Copies of a model on the machines of a cluster.

    Args:
        cluster: The cluster.
        opener: Returns the model on another machine. It can be pickled.
    """

    cluster: PhotoCluster
    opener: Callable[[], keras.Model]

    def joined(self) -> Copies:
        """Copies that also return the inputs of the last layer."""
        return Copies(self.cluster, partial(_open_joined, self.opener))


def predict(
    model: keras.Model,
    data: ImageData,
    indices: NDArray[np.int64],
    progress: Callable[[int, int], None] | None = None,
    total: int = 0,
    copies: Copies | None = None,
) -> NDArray[np.float32]:
    """Probabilities of the images at ``indices``, float32 ``(len(indices), classes)``, in constant memory.

    Args:
        model: A model that takes raw pixels, like every zoo model.
        data: The dataset.
        indices: Indices of the images.
        progress: Called with images done and images to do.
        total: Number of all images that the model will predict. If they do not fit into one batch, smaller batches are
            padded.
        copies: Copies of the model that predict the images, which are decoded from their files, in the same batches.
    """
    total = max(total, len(indices))
    probabilities = np.empty((len(indices), model.output_shape[-1]), np.float32)
    step = batch_size(data.pixels.shape)
    parts: Iterable[tuple[int, NDArray[np.float32]]]
    if copies and len(indices):
        parts = copies.cluster.outputs(copies.opener, model, data.files(indices), total, step)
    else:
        batches = ((start, indices[start : start + step]) for start in range(0, len(indices), step))
        parts = ((start, predict_inputs(model, data.pixels.read(chosen), total)) for start, chosen in batches)
    done = 0
    for start, rows in parts:
        probabilities[start : start + len(rows)] = rows
        done += len(rows)
        if progress:
            progress(done, len(indices))
    return probabilities


def predict_inputs(model: keras.Model, inputs: NDArray[Any], total: int, size: int = 0) -> NDArray[np.float32]:
    """A model's outputs on any number of inputs, float32.

    A backend compiles a model again for every batch size. Therefore, if ``total`` is above ``batch_size``, the last
    batch is padded to the size of the others.

    Args:
        model: The model.
        inputs: The inputs.
        total: Number of all inputs that the model will predict.
        size: Size of a batch. 0: ``batch_size`` of the inputs.
    """
    import keras

    size = size or batch_size(inputs.shape[1:])
    total = max(total, len(inputs))
    found = []
    predict_batch = on_own_device(model) or model.predict_on_batch
    for start in range(0, len(inputs), size):
        batch = inputs[start : start + size]
        missing = size - len(batch) if total > size else 0
        filled = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), batch.dtype)]) if missing else batch
        outputs = keras.ops.convert_to_numpy(predict_batch(filled))
        found.append(np.asarray(outputs, np.float32)[: len(batch)])
    return np.concatenate(found) if len(found) > 1 else found[0]


def predict_split(
    model: keras.Model,
    data: ImageData,
    split: str,
    progress: Callable[[int, int], None] | None = None,
    copies: Copies | None = None,
) -> Predictions:
    """Predicts one split of ``data``, with the same batch size for every split."""
    indices = data.indices(split)
    return _of_split(data, indices, predict(model, data, indices, progress, len(data.names), copies))


def predict_with_features(
    model: keras.Model,
    data: ImageData,
    split: str,
    progress: Callable[[int, int], None] | None = None,
    copies: Copies | None = None,
) -> tuple[Predictions, NDArray[np.float32] | None]:
    """Like ``predict_split``, and also returns the inputs of the last layer from the same pass.

    Returns:
        The predictions and the features of each image, float32 ``(images, features)``. The features are ``None`` if the
        input of the last layer is not one vector per image, or if they need more than 64 MiB.
    """
    indices = data.indices(split)
    features = last_features(model)
    if features is None or 4 * len(indices) * int(features.shape[-1]) > _MOST_FEATURES:
        return predict_split(model, data, split, progress, copies), None
    both = _joined(model, features)
    found = predict(both, data, indices, progress, len(data.names), copies.joined() if copies else None)
    classes = len(data.labels)
    return _of_split(data, indices, found[:, :classes]), found[:, classes:]


def _joined(model: keras.Model, features: keras.KerasTensor) -> keras.Model:
    import keras

    return keras.Model(model.inputs, keras.layers.Concatenate(dtype="float32")([model.outputs[0], features]))


def _open_joined(opener: Callable[[], keras.Model]) -> keras.Model:
    model = opener()
    features = last_features(model)
    assert features is not None  # the copy has the same layers as the model of the command
    return _joined(model, features)


def _of_split(data: ImageData, indices: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Predictions:
    return Predictions(
        labels=data.labels,
        files=tuple(data.names[index] for index in indices),
        true=data.classes[indices],
        probabilities=probabilities,
    )


def last_features(model: keras.Model) -> keras.KerasTensor | None:
    """The input of the last call, which may be in a nested model, if it is one vector per image."""
    if not has_calls(model):
        return None
    # ``layer.input`` is not used: if the last layer is also called in another model, this may be a tensor of that
    # model.
    given = [call.input_tensors for call in calls_of(model) if any(out is model.outputs[0] for out in call.outputs)]
    features = given[0] if given else []
    return features[0] if len(features) == 1 and len(features[0].shape) == 2 else None
