"""The map of the test photos, and its page for many photos."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tests.conftest import PhotoFolder
from tests.report.conftest import MakeRun, write_run
from tests.report.test_html import Page
from tests.report.test_page_in_browser import opened
from zoo import ImageSpec
from zoo.data import load_data
from zoo.evaluation.predict import predict_split, predict_with_features
from zoo.evaluation.predictions import Predictions
from zoo.report import photo_map
from zoo.report.html import write_report
from zoo.report.page import environment
from zoo.report.photo_map import MOST_POINTS, PhotoMap, _chosen, arranged, find_map
from zoo.run_folder import Run

IMAGE = ImageSpec(height_px=8, width_px=8)


def groups_of_features(classes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    return (8 * np.eye(12)[classes] + rng.normal(0, 1, (len(classes), 12))).astype(np.float32)


def map_of(run: Run) -> PhotoMap:
    found = Predictions.read_csv(run.path / "predictions.csv")
    true, predicted = ([found.labels[place] for place in places] for places in (found.true, found.predicted))
    rng = np.random.default_rng(0)
    return PhotoMap(at=rng.random((len(found), 2)), files=found.files, true=true, predicted=predicted)


def test_photos_with_like_features_lie_near_each_other() -> None:
    classes = np.repeat(np.arange(3), 20)
    at = arranged(groups_of_features(classes))
    assert at.min() >= 0
    assert at.max() <= 1
    apart = np.linalg.norm(at[:, None] - at[None], axis=2) + np.eye(60) * 9
    assert (classes[apart.argmin(axis=1)] == classes).mean() > 0.95
    assert (arranged(groups_of_features(classes)) == at).all()


def _model(nested: bool) -> keras.Model:
    image = keras.Input((8, 8, 3))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    feed = keras.Input((3,))
    head = keras.layers.Dense(2, activation="softmax")
    inner = keras.Model(feed, head(feed))
    return keras.Model(image, inner(mean) if nested else head(mean))


@pytest.mark.parametrize("nested", [False, True])
def test_each_point_is_the_photo_whose_name_it_has(nested: bool, photo_folder: PhotoFolder, tmp_path: Path) -> None:
    """This also holds if the last layer is used in another model as well, or is itself a model."""
    data = load_data(str(photo_folder({"train/a": 2, "train/b": 2, "test/a": 10, "test/b": 10})), IMAGE)
    found = predict_split(_model(nested), data, "test")
    order = np.random.default_rng(0).permutation(len(found))
    replace(
        found,
        files=tuple(found.files[place] for place in order),
        true=found.true[order],
        probabilities=found.probabilities[order],
    ).write_csv(tmp_path / "predictions.csv")
    shown = find_map(SimpleNamespace(path=tmp_path), _model(nested), data)  # type: ignore[arg-type]
    assert shown is not None
    classes = np.array(shown.true)
    apart = np.linalg.norm(shown.at[:, None] - shown.at[None], axis=2) + np.eye(20) * 9
    assert (classes[apart.argmin(axis=1)] == classes).mean() > 0.9


@pytest.mark.parametrize("nested", [False, True])
def test_one_pass_gives_the_predictions_and_the_map(nested: bool, photo_folder: PhotoFolder, tmp_path: Path) -> None:
    data = load_data(str(photo_folder({"train/a": 2, "train/b": 2, "test/a": 20, "test/b": 25})), IMAGE)
    model = _model(nested)
    apart = predict_split(model, data, "test")
    found, features = predict_with_features(model, data, "test")
    assert features is not None
    assert features.shape == (45, 3)
    assert found.files == apart.files
    assert (found.probabilities == apart.probabilities).all()
    found.write_csv(tmp_path / "predictions.csv")
    run = SimpleNamespace(path=tmp_path)
    one, two = find_map(run, model, data, features), find_map(run, model, data)  # type: ignore[arg-type]
    assert one is not None
    assert two is not None
    assert (one.at == two.at).all()


def test_features_that_are_all_the_same_make_a_map_as_well() -> None:
    assert np.isfinite(arranged(np.ones((20, 5), np.float32))).all()


def test_of_many_photos_the_wrong_ones_are_kept() -> None:
    count = 3 * MOST_POINTS
    wrong = np.arange(count) % 10 == 0
    chances = np.where(wrong[:, None], [[0.1, 0.9]], [[0.9, 0.1]]).astype(np.float32)
    files = tuple(map(str, range(count)))
    found = Predictions(labels=("a", "b"), files=files, true=np.zeros(count, int), probabilities=chances)
    rows = _chosen(found)
    assert len(rows) == MOST_POINTS
    assert set(np.flatnonzero(wrong)) <= set(rows)


def test_the_map_marks_wrong_predictions_and_leads_to_them(make_run: MakeRun) -> None:
    run = make_run(("<b>a</b>", "橄榄球"), each=20, strength=0.5)
    found = map_of(run)
    path = write_report(run, None, None, found)
    assert "Map of the test photos" in Page(path).words
    text = path.read_text(encoding="utf-8")
    drawn = text.split('<svg class="map"')[1].split("</svg>")[0]
    assert drawn.count('class="cross"') == len(found.wrong) > 3
    assert drawn.count("<circle") == len(found.files)
    assert drawn.count("<title>") == len(found.files)
    assert "&lt;b&gt;a&lt;/b&gt; predicted as 橄榄球" in drawn
    targets = re.findall(r'href="#(wrong-\d+)"', drawn)
    assert len(targets) == len(found.wrong)
    assert all(f'id="{target}"' in text for target in targets)


def test_wrong_predictions_that_lie_together_are_a_group() -> None:
    at = np.concatenate([np.full((4, 2), 0.5), np.random.default_rng(0).random((10, 2))])
    files = [f"photo{place}.jpg" for place in range(14)]
    found = PhotoMap(at=at, files=files, true=["a"] * 14, predicted=["b"] * 4 + ["a"] * 10)
    expected = photo_map.Group(photos=4, alike=4, true="a", predicted="b", example="photo0.jpg")
    assert found.groups() == [expected]
    template = environment().get_template("report/map.html.jinja")
    page = template.render(arranged=found, run=SimpleNamespace(labels=("a", "b")), anchors={"photo1.jpg": "wrong-0"})
    assert "4 photos are close to each other; 4 of them are a predicted as b, for example photo0.jpg" in re.sub(
        "<.*?>", "", page
    )
    assert page.count('<a href="#wrong-0">') == 1


def test_training_puts_it_into_the_report(digits_run: Path) -> None:
    assert "Map of the test photos" in Page(digits_run / "report.html").words


def test_a_report_of_5000_test_photos_opens_at_once(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.report.conftest._sha256", lambda path: "")
    names = {f"class {label}": [f"class{label}/photo{number}.jpg" for number in range(2500)] for label in range(5)}
    run = write_run(tmp_path / "runs", tmp_path / "photos", names, strength=2.0)
    assert run.metrics.n == 5000
    whole = map_of(run)
    few = range(MOST_POINTS)
    shown = PhotoMap(
        at=whole.at[:MOST_POINTS],
        files=[whole.files[place] for place in few],
        true=[whole.true[place] for place in few],
        predicted=[whole.predicted[place] for place in few],
        left_out=4000,
    )
    path = write_report(run, None, None, shown)
    assert path.stat().st_size < 10e6
    page, trouble = opened(browser, path)
    took = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert 0 < took < 2000
    assert trouble == []
    page.close()
