"""A map of the test photos, on which photos with similar features are close to each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.data import TEST, ImageData
from zoo.evaluation.predict import last_features, predict
from zoo.evaluation.predictions import Predictions
from zoo.run_folder import Run

if TYPE_CHECKING:
    import keras

#: Maximum number of points. More would hide each other, and t-SNE would take too long.
MOST_POINTS = 1000
_FEWEST_POINTS = 12
_PRINCIPAL = 50
_PERPLEXITY = 30.0
_STEPS = 500
#: Maximum number of classes with their own colour.
_COLOURED = 8
#: Maximum distance of wrong predictions in one group, as a share of the side of the map.
_NEAR = 0.05
_FEWEST_OF_GROUP = 3

_MARGIN = 14


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A photo on the map: its position and colour."""

    file: str
    true: str
    predicted: str
    x: float
    y: float
    colour: str

    @property
    def wrong(self) -> bool:
        return self.true != self.predicted


@dataclass(frozen=True, kw_only=True)
class Group:
    """Wrong predictions that are close to each other.

    Args:
        photos: Number of photos.
        alike: Number of photos with the most frequent pair of classes.
        true, predicted: That pair.
        example: Name of one of the photos.
    """

    photos: int
    alike: int
    true: str
    predicted: str
    example: str


@dataclass(frozen=True, kw_only=True)
class PhotoMap:
    """The positions of the photos.

    Args:
        at: Positions, ``(n, 2)``, 0 to 1.
        files: Names of the photos.
        true, predicted: Class names.
        left_out: Number of photos that are not on the map.
    """

    at: NDArray[np.float64]
    files: Sequence[str]
    true: Sequence[str]
    predicted: Sequence[str]
    left_out: int = 0

    #: Size of the drawing.
    width, height = 640, 440

    @property
    def radius(self) -> float:
        return 5 if len(self.files) <= 300 else 3.5

    @property
    def wrong(self) -> list[int]:
        """Indices of the photos that are predicted wrongly."""
        return [place for place, pair in enumerate(zip(self.true, self.predicted, strict=True)) if pair[0] != pair[1]]

    def coloured(self, labels: Sequence[str]) -> Sequence[str]:
        """The classes with their own colour."""
        return labels if len(labels) <= _COLOURED else ()

    def marks(self, labels: Sequence[str]) -> Iterator[Mark]:
        """The marks. Those of wrong predictions come last, so that they are drawn above the others."""
        wrong, coloured = self.wrong, self.coloured(labels)
        at = _MARGIN + self.at * (np.array([self.width, self.height]) - 2 * _MARGIN)
        for place in [*sorted(set(range(len(self.files))) - set(wrong)), *wrong]:
            true = self.true[place]
            yield Mark(
                file=self.files[place],
                true=true,
                predicted=self.predicted[place],
                x=float(at[place][0]),
                y=float(at[place][1]),
                colour=f"c{coloured.index(true)}" if true in coloured else "any",
            )

    def groups(self) -> list[Group]:
        """Groups of wrong predictions that are close to each other, the largest group first."""
        from sklearn.cluster import DBSCAN

        wrong = np.array(self.wrong)
        if len(wrong) < _FEWEST_OF_GROUP:
            return []
        group_of = DBSCAN(eps=_NEAR, min_samples=_FEWEST_OF_GROUP).fit_predict(self.at[wrong])
        groups = []
        for group, size in Counter(int(group) for group in group_of if group >= 0).most_common(5):
            places = wrong[group_of == group].tolist()
            pairs = Counter((self.true[place], self.predicted[place]) for place in places)
            (true, predicted), count = pairs.most_common(1)[0]
            example = self.files[places[0]]
            groups.append(Group(photos=size, alike=count, true=true, predicted=predicted, example=example))
        return groups


def find_map(
    run: Run, model: keras.Model, data: ImageData, known: NDArray[np.float32] | None = None
) -> PhotoMap | None:
    """Arranges the test photos of a finished run by the input features of the last layer.

    Args:
        run: The run.
        model: Its trained model.
        data: The data that contains the test images.
        known: The features, one row for each row of ``predictions.csv``, if they were already computed.

    Returns:
        The map. ``None`` if there are too few photos, or if the input of the last layer is not one vector per photo.
    """
    predictions = Predictions.read_csv(run.path / "predictions.csv")
    if len(predictions) < _FEWEST_POINTS or last_features(model) is None:
        return None
    rows = _chosen(predictions)
    found = known[rows] if known is not None else _features(model, data, [predictions.files[row] for row in rows])
    if not np.isfinite(found).all():
        return None
    return PhotoMap(
        at=arranged(found),
        files=[predictions.files[row] for row in rows],
        true=[predictions.labels[int(predictions.true[row])] for row in rows],
        predicted=[predictions.labels[int(predictions.predicted[row])] for row in rows],
        left_out=len(predictions) - len(rows),
    )


def _features(model: keras.Model, data: ImageData, files: Sequence[str]) -> NDArray[np.float32]:
    import keras

    of_name = {data.names[index]: index for index in data.indices(TEST)}
    indices = np.array([of_name[file] for file in files])
    return predict(keras.Model(model.inputs, last_features(model)), data, indices)


def _chosen(predictions: Predictions) -> list[int]:
    """Rows of all photos. If there are too many: the wrong predictions, up to half of the maximum, and a sample of the
    correct ones."""
    if len(predictions) <= MOST_POINTS:
        return list(range(len(predictions)))
    rng = np.random.default_rng(0)
    wrong, right = np.flatnonzero(~predictions.correct), np.flatnonzero(predictions.correct)
    few = rng.permutation(wrong)[: max(MOST_POINTS // 2, MOST_POINTS - len(right))]
    return sorted([*few.tolist(), *rng.permutation(right)[: MOST_POINTS - len(few)].tolist()])


def arranged(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Positions on the map, 0 to 1, by principal components and then t-SNE, both seeded."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    count = len(features)
    spread = features.std(axis=0)
    if not spread.any():
        return np.full((count, 2), 0.5)
    scaled = features[:, spread > 0] / spread[spread > 0]
    if scaled.shape[1] < 2:
        scaled = np.pad(scaled, ((0, 0), (0, 2 - scaled.shape[1])))
    shortened = PCA(min(_PRINCIPAL, *scaled.shape), random_state=0).fit_transform(scaled)
    perplexity = min(_PERPLEXITY, (count - 1) / 3)
    start = 1e-4 * shortened[:, :2] / max(shortened[:, 0].std(), 1e-9)
    # With several threads, t-SNE would be slower, and its sums would have another order every time.
    with threadpool_limits(1):
        at = TSNE(2, perplexity=perplexity, init=start, random_state=0, max_iter=_STEPS).fit_transform(shortened)
    low, high = at.min(axis=0), at.max(axis=0)
    return np.asarray((at - low) / np.maximum(high - low, 1e-9), np.float64)
