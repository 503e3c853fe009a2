"""The nearest images of each image: the blocks change no result, and take little memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.audit import nearest as module
from zoo.audit.fingerprints import mirrored, most_similar
from zoo.audit.nearest import Nearest, nearest

Vectors = NDArray[np.float32]


def vectors(kind: str, count: int, *shape: int) -> Vectors:
    """Vectors of length 1: random, in clusters, or with many that are identical."""
    random = np.random.default_rng(0)
    found = random.normal(size=(count, *shape))
    if kind == "clustered":
        centres = random.normal(size=(count // 20, *shape))
        found = centres[random.integers(len(centres), size=count)] + 0.6 * found
    found /= np.linalg.norm(found, axis=-1, keepdims=True)
    if kind == "half identical":
        found[random.random(count) < 0.5] = found[0]
    if kind == "identical":
        found[:] = found[0]
    return found.astype(np.float32)


def all_at_once(prints: Vectors, least: float, most: int) -> set[tuple[int, int]]:
    """The search without blocks, with a matrix of all pairs."""
    correlation = np.full((len(prints), len(prints)), -1, np.float32)
    for side in (prints, mirrored(prints)):
        for window in range(prints.shape[1]):
            np.maximum(correlation, prints[:, 0] @ side[:, window].T, out=correlation)
            if window:
                np.maximum(correlation, prints[:, window] @ side[:, 0].T, out=correlation)
    np.fill_diagonal(correlation, -1)
    found = np.argpartition(-correlation, most, axis=1)[:, :most]
    return {
        (min(row, column), max(row, column))
        for row, columns in enumerate(found.tolist())
        for column in columns
        if correlation[row, column] >= least
    }


@pytest.mark.parametrize("kind", ["random", "clustered", "half identical", "identical"])
@pytest.mark.parametrize(("count", "windows", "least", "most"), [(300, 19, 0.2, 4), (1500, 1, 0.5, 2)])
def test_the_pairs_are_those_of_a_matrix_of_all_pairs(
    kind: str, count: int, windows: int, least: float, most: int
) -> None:
    prints = vectors(kind, count, windows, 144)
    found = most_similar(range(count), range(count), prints, least, most, windows)
    expected = all_at_once(prints, least, most)
    assert len(expected) > (100 if kind != "random" else -1)
    assert [tuple(pair) for pair in found.tolist()] == sorted(expected)


@pytest.mark.parametrize("kind", ["random", "clustered", "half identical", "identical"])
def test_small_blocks_find_the_nearest_too(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", 64)
    monkeypatch.setattr(module, "COLUMNS", 50)
    monkeypatch.setattr(module, "_SELECTED", 10)
    features = vectors(kind, 403, 40)
    matrix = features @ features.T
    np.fill_diagonal(matrix, -1)
    told: list[tuple[int, int]] = []
    found = list(nearest(lambda rows, columns: matrix[rows, columns].copy(), 403, 403, 4, lambda *at: told.append(at)))
    columns = np.concatenate([block.columns for block in found])
    similarity = np.concatenate([block.similarity for block in found])
    np.testing.assert_array_equal(np.take_along_axis(matrix, columns, 1), similarity)
    np.testing.assert_array_equal(np.sort(similarity, 1), np.sort(matrix, 1)[:, -4:])
    assert all(len(set(row)) == 4 for row in columns.tolist())
    assert told[-1] == (403, 403)
    assert len(told) == 7


def test_memory_does_not_grow_with_the_square() -> None:
    def similarities(rows: slice, columns: slice) -> NDArray[np.float32]:
        return np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)

    def peak(columns: int) -> int:
        tracemalloc.start()
        for block in nearest(similarities, 2048, columns, 4):
            assert isinstance(block, Nearest)
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(40_000) < peak(10_000) + 2**20 < 200e6
