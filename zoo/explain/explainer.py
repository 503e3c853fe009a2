"""Finds the evidence for a class in the input pixels of a Keras model."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from zoo.edge.explain import Found, likeliest
from zoo.edge.explanation import CLASS_ACTIVATION, LAYER_CAM
from zoo.errors import ExportError, UsageError
from zoo.explain.gradients import HAVE_GRADIENTS, gradients
from zoo.exporting.evidence import features_of, find_head, find_logits, map_size, spread
from zoo.exporting.graph import Call, Graph

#: Layers in which every position depends on all others, so that later features cannot be located.
_MIXING = ("MultiHeadAttention", "GroupedQueryAttention", "Attention", "AdditiveAttention")
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose")


class Explainer:
    """Computes evidence maps of a Keras model.

    Args:
        model: A model that maps raw pixels to probabilities.
        name: Name in messages.

    Raises:
        UsageError: The model has no feature map whose positions correspond to positions in the photo, or it needs
            gradients and the backend has none.
    """

    def __init__(self, model: keras.Model, name: str) -> None:
        try:
            self._graph = Graph(model)
            self._logits = find_logits(self._graph)
            self._head = find_head(self._graph)
        except ExportError as error:  # Keras has no graph of the model, or a layer cannot be copied
            raise UsageError(f"{name} cannot be explained. {error.message}", error.hint) from error
        self._maps = [depth.call for depth in self._head.depths] if self._head else last_maps(self._graph)
        _refuse_placeless(self._graph, self._maps, name)
        if self._head is None and keras.config.backend() not in HAVE_GRADIENTS:
            raise UsageError(
                f"{name} cannot be explained on the backend {keras.config.backend()}: its head is not linear in its "
                "feature maps, so it needs LayerCAM, which requires gradients.",
                f"Set KERAS_BACKEND to one of {', '.join(HAVE_GRADIENTS)}.",
            )

    @property
    def method(self) -> str:
        """``class activation map``, which is exact, or ``LayerCAM``."""
        return CLASS_ACTIVATION if self._head else LAYER_CAM

    def find(self, pixels: NDArray[np.uint8], places: Sequence[int] | None = None) -> Found:
        """The evidence for the most probable of several classes.

        Args:
            pixels: Pixels of one image, uint8 ``(height, width, 3)``.
            places: Indices of the classes. ``None``: all.
        """
        return self.find_all(pixels[None], [places])[0]

    def find_all(self, images: NDArray[np.uint8], places: Sequence[Sequence[int] | None]) -> list[Found]:
        """Like ``find``, for several images at once, uint8 ``(n, height, width, 3)``."""
        probabilities, features = features_of(self._graph, self._maps, images)
        chosen = [likeliest(row, wanted) for row, wanted in zip(probabilities, places, strict=True)]
        if self._head is None:
            maps = self._layer_cam(images, features, chosen)
            return [
                Found(place, float(row[place]), values, LAYER_CAM)
                for place, row, values in zip(chosen, probabilities, maps, strict=True)
            ]
        found = []
        for place, row, values in zip(chosen, probabilities, self._head.evidence(features), strict=True):
            evidence, bias = values[:, :, place], float(self._head.bias[place])
            logit = float(evidence.sum()) + bias
            found.append(Found(place, float(row[place]), evidence, CLASS_ACTIVATION, logit, bias))
        return found

    def _layer_cam(
        self, images: NDArray[np.uint8], features: Sequence[NDArray[np.float32]], chosen: Sequence[int]
    ) -> NDArray[np.float32]:
        slopes = gradients(self._graph, self._logits, self._maps, images.astype(np.float32), chosen)
        size = max(map(map_size, self._maps), key=lambda found: found or (0, 0))
        assert size is not None
        # LayerCAM (Jiang et al. 2021): the weight of every value is its gradient, if that is positive.
        parts = [
            np.maximum((np.maximum(slope, 0) * values).sum(axis=-1, keepdims=True), 0)
            for slope, values in zip(slopes, features, strict=True)
        ]
        found = sum(spread(np.asarray(part, np.float32), size) for part in parts)
        return np.asarray(found, np.float32)[..., 0]


def last_maps(graph: Graph) -> list[Call]:
    """The last feature maps in which positions of the photo are still distinguished."""
    leads_to_map: dict[Call, bool] = {}
    for call in reversed(graph.calls):
        leads_to_map[call] = any(map_size(user) is not None or leads_to_map[user] for user in call.users)
    return [
        call
        for call in graph.calls
        if map_size(call) is not None and any(map_size(user) is None and not leads_to_map[user] for user in call.users)
    ]


def _refuse_placeless(graph: Graph, maps: Sequence[Call], name: str) -> None:
    can = (
        "`zoo explain` supports networks that end in feature maps of convolutions. `zoo predict` supports every model."
    )
    before: set[Call] = set()
    waiting = list(maps)
    while waiting:
        call = waiting.pop()
        if call not in before:
            before.add(call)
            waiting += [source for source, _ in call.sources]
    if not any(_is(call, _CONVOLUTIONS) for call in before):
        raise UsageError(
            f"{name} cannot be explained: it has no convolution whose feature map corresponds to positions in the "
            "photo.",
            can,
        )
    if any(_is(call, _MIXING) for call in graph.calls):
        raise UsageError(
            f"{name} cannot be explained: it has attention, which mixes all positions, so its outputs do not "
            "correspond to positions in the photo.",
            can,
        )


def _is(call: Call, names: Sequence[str]) -> bool:
    return isinstance(call.operation, layers.Layer) and type(call.operation).__name__ in names
