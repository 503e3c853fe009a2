from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from tests.report.test_devices import row
from zoo.errors import TrainingError
from zoo.evaluation import Predictions, compute_metrics
from zoo.report import grids, plots
from zoo.report.devices import plot_devices
from zoo.report.style import BothThemes
from zoo.report.theme import DARK, LIGHT

ANY_SCRIPT = (
    "日本語",
    "العربية",
    "हिन्दी",
    "עברית",
    "ไทย",
    "🦜 parrot",
    "$x^2$_{a}",
    "a\\b",
    "byte\udce9",
    "new\nline",
    "",
)


def picture(path: Path) -> np.ndarray:
    """Reads a PNG as ``(height, width, 3)`` BGR."""
    image = cv2.imread(str(path))
    assert image is not None
    return image


def share_of(image: np.ndarray, colour: str) -> float:
    """Share of the pixels that are within a few levels of a colour."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (5, 3, 1)])
    return float((np.abs(image.astype(int) - wanted).max(axis=2) < 8).mean())


def confusion(k: int) -> list[list[int]]:
    matrix = np.eye(k, dtype=int) * 9
    matrix[0, k - 1] = 1
    return matrix.tolist()


def history(epochs: int) -> dict[str, list[float]]:
    fall = np.exp(-np.arange(epochs) / 5)
    return {
        "epoch": list(range(1, epochs + 1)),
        "loss": (0.2 + fall).tolist(),
        "val_loss": (0.3 + fall).tolist(),
        "accuracy": (0.9 - 0.4 * fall).tolist(),
        "val_accuracy": (0.88 - 0.4 * fall).tolist(),
    }


def bins() -> tuple[list[dict[str, object]], float]:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 90)
    files = tuple(map(str, range(90)))
    metrics = compute_metrics(Predictions(("a", "b", "c"), files, rng.integers(0, 3, 90), probabilities))
    return metrics.calibration_bins, metrics.expected_calibration_error


def photos(n: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


DRAWINGS: dict[str, Callable[..., None]] = {
    "counts": lambda path, **k: plots.plot_class_counts(
        {"train": {"a": 3, "b": 9}, "test": {"a": 1, "b": 2}}, path, **k
    ),
    "curves": lambda path, **k: plots.plot_curve(history(9), "loss", path, best_epoch=7, **k),
    "confusion": lambda path, **k: plots.plot_confusion(confusion(3), "abc", path, **k),
    "reliability": lambda path, **k: plots.plot_reliability(*bins(), path, **k),
    "samples": lambda path, **k: grids.plot_samples({"a": list(photos(3)), "b": [None]}, path, **k),
    "augmented": lambda path, **k: grids.plot_augmented(photos(4), path, **k),
}


MEASURED = [row("board", "onnx", precision, ms) for precision, ms in (("float32", 7.5), ("int8", 3.2))]

#: Charts for pages, which are light or dark.
CHARTS = {
    **{name: DRAWINGS[name] for name in ("counts", "curves", "confusion", "reliability")},
    "accuracy": lambda path, **k: plots.plot_curve(history(9), "accuracy", path, **k),
    "confusion of many": lambda path, **k: plots.plot_confusion(confusion(30), list(map(str, range(30))), path, **k),
    "confusion on a phone": lambda path, **k: plots.plot_confusion(confusion(3), "abc", path, narrow=True, **k),
    "counts of many": lambda path, **k: plots.plot_class_counts({"val": {f"c{i}": i for i in range(99)}}, path, **k),
    "devices": lambda path, **k: plot_devices(MEASURED, path, **k),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_for_both_themes_is_that_of_each(name: str) -> None:
    """The chart is drawn once and recoloured, so a colour that is not part of the theme would not change."""
    both, light, dark = BothThemes(), io.BytesIO(), io.BytesIO()
    CHARTS[name](both)
    CHARTS[name](light, theme=LIGHT)
    CHARTS[name](dark, theme=DARK)
    assert both.light.getvalue() == light.getvalue()
    assert both.dark.getvalue() == dark.getvalue() != light.getvalue()


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_picture_in_both_themes_and_in_memory(tmp_path: Path, name: str) -> None:
    draw = DRAWINGS[name]
    before = dict(matplotlib.rcParams)
    draw(tmp_path / "new folder" / "light.png")
    draw(tmp_path / "dark.png", theme=DARK)
    memory = io.BytesIO()
    draw(memory)
    light, dark = picture(tmp_path / "new folder" / "light.png"), picture(tmp_path / "dark.png")
    assert light.shape == dark.shape
    assert share_of(light, LIGHT.background) > 0.05
    assert share_of(dark, DARK.background) > 0.05
    assert memory.getvalue() == (tmp_path / "new folder" / "light.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dark.png", "new folder"]
    assert dict(matplotlib.rcParams) == before


def test_class_names_in_any_script_neither_fail_nor_warn(tmp_path: Path) -> None:
    k = len(ANY_SCRIPT)
    plots.plot_class_counts({"train": dict.fromkeys(ANY_SCRIPT, 5)}, tmp_path / "counts.png")
    plots.plot_confusion(confusion(k), ANY_SCRIPT, tmp_path / "confusion.png")
    mistakes = [
        grids.Mistake(file=f"{label}/x.jpg", true=label, predicted=label, confidence=0.5, picture=None)
        for label in ANY_SCRIPT
    ]
    grids.plot_mistakes(mistakes, tmp_path / "mistakes.png")
    assert picture(tmp_path / "mistakes.png").size > 0


@pytest.mark.parametrize("k", [2, 7, 25, 45, 152, 1000])
def test_confusion_matrix_of_any_size_shows_the_diagonal(tmp_path: Path, k: int) -> None:
    plots.plot_confusion(confusion(k), [f"class {i}" for i in range(k)], tmp_path / "c.png")
    image = picture(tmp_path / "c.png")
    assert max(image.shape) < 1300
    # A diagonal of full rows covers about 1/k of the square.
    assert share_of(image, LIGHT.accent) > 0.1 / k


def test_a_class_without_test_images_is_an_empty_row(tmp_path: Path) -> None:
    plots.plot_confusion([[5, 0], [0, 0]], ["a", "b"], tmp_path / "c.png")
    image = picture(tmp_path / "c.png")
    # Three of four cells are empty.
    assert share_of(image, LIGHT.empty) > 2 * share_of(image, LIGHT.accent) > 0.1


def test_counts_of_very_many_classes_stay_small(tmp_path: Path) -> None:
    counts = {split: {f"c{i}": i % 9 + 1 for i in range(1000)} for split in ("train", "val", "test")}
    plots.plot_class_counts(counts, tmp_path / "many.png")
    assert picture(tmp_path / "many.png").shape[0] < 700


@pytest.mark.parametrize("epochs", [1, 2, 300])
def test_curves_of_any_length(tmp_path: Path, epochs: int) -> None:
    plots.plot_curve(history(epochs), "accuracy", tmp_path / "c.png")
    image = picture(tmp_path / "c.png")
    assert share_of(image, LIGHT.accent) > 1e-4
    assert share_of(image, LIGHT.wrong) > 1e-4  # the best epoch


def test_curves_with_nothing_validated_or_diverged(tmp_path: Path) -> None:
    diverged = {"loss": [1.0, float("nan"), float("inf")], "accuracy": [0.5, 0.5, 0.5]}
    nothing = {"loss": [float("nan")] * 2, "val_loss": [float("nan")] * 2}
    for panel in ("accuracy", "loss"):
        plots.plot_curve(diverged, panel, tmp_path / f"{panel}.png")
        assert share_of(picture(tmp_path / f"{panel}.png"), LIGHT.muted) > 1e-4
        plots.plot_curve(nothing, panel, tmp_path / "d.png", best_epoch=1)


def test_the_most_confident_mistake_comes_first(tmp_path: Path) -> None:
    colours = {0.6: (200, 0, 0), 0.9: (0, 0, 200), 0.3: (0, 200, 0)}
    mistakes = [
        grids.Mistake(file="x", true="a", predicted="b", confidence=c, picture=np.full((9, 9, 3), rgb, np.uint8))
        for c, rgb in colours.items()
    ]
    grids.plot_mistakes(mistakes, tmp_path / "m.png")
    image = picture(tmp_path / "m.png")
    row = image[image.shape[0] // 3]
    found = [tuple(int(v) for v in row[int(row.shape[0] * x)][::-1]) for x in (0.17, 0.5, 0.83)]
    assert found == [(0, 0, 200), (200, 0, 0), (0, 200, 0)]


def test_augmented_pictures_of_any_type_and_shape() -> None:
    floats = photos(6).astype(np.float32).reshape(2, 3, 32, 32, 3)
    assert (grids.as_pictures(floats) == photos(6)).all()
    assert grids.as_pictures(np.array([[[[-3.0, 255.4, 900]]]])).tolist() == [[[[0, 255, 255]]]]
    with pytest.raises(ValueError, match="Received"):
        grids.as_pictures(np.zeros((4, 4)))


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="Could not write"):
        DRAWINGS["counts"](tmp_path / "file" / "x.png")
