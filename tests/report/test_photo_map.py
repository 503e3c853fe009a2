"""The map of the test photos, and the page of many of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.report.conftest import MakeRun, write_run
from tests.report.test_html import Page
from tests.report.test_page_in_browser import opened
from zoo.evaluation.predictions import Predictions
from zoo.report import photo_map
from zoo.report.html import write_report
from zoo.report.photo_map import MOST_POINTS, PhotoMap, _chosen, arranged
from zoo.run_folder import Run


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
    said = re.sub("<.*?>", "", photo_map.photo_map(found, ("a", "b"), ()))
    assert "4 lie together, 4 of them a predicted as b, such as photo0.jpg" in said


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
