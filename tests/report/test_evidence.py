"""The evidence in the report of a run."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np

from tests.explain.scenes import colour_network
from tests.report.conftest import MakeRun
from tests.report.test_html import Page
from zoo.evaluation.predictions import Predictions
from zoo.report.evidence import find_evidence
from zoo.report.html import write_report

#: Class names that are hard to align and to fit.
NAMES = ("كرة القدم", "橄榄球" + "x" * 77)


def test_each_wrong_prediction_and_one_right_one_a_class_has_its_evidence_beside_it(make_run: MakeRun) -> None:
    run = make_run(NAMES, each=20, strength=0.5)
    found = find_evidence(run, colour_network(size=224))
    assert found is not None
    predictions = Predictions.read_csv(run.path / "predictions.csv")
    files = np.array(predictions.files)
    assert set(found.wrong) == set(files[~predictions.correct])
    assert len(found.wrong) > 1
    assert [item.label for item in found.right] == list(NAMES)
    for row in np.flatnonzero(~predictions.correct):
        # for the predicted class, which is wrong
        assert found.wrong[files[row]].label == NAMES[predictions.predicted[row]]
    page = Page(write_report(run, None, found))
    assert page.without_alt == 0
    assert "The coloured picture beside each photo shows the evidence for the predicted class." in page.words
    assert "Where the evidence lies" in page.words
    assert "The evidence is exact: its sum over all positions, plus a bias, is the logit of the class." in page.words
    text = html.unescape(run.path.joinpath("report.html").read_text())
    assert text.count('class="both"') == len(found.wrong) + 2
    assert f"Evidence for {NAMES[1]} in " in text
    assert re.search(r"Evidence for .*? (strongest|There is no evidence)", text)


def test_a_model_that_cannot_be_explained_has_a_report_all_the_same(make_run: MakeRun) -> None:
    import keras

    image = keras.Input((224, 224, 3))
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(56)(image))
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(x))
    run = make_run(each=20, strength=0.5)
    assert find_evidence(run, model) is None
    assert "Where the evidence lies" not in Page(write_report(run, None, None)).words


def test_training_puts_it_into_the_report(digits_run: Path) -> None:
    words = Page(digits_run / "report.html").words
    assert "Where the evidence lies" in words
    assert "The evidence is an approximation (LayerCAM)" in words  # of simple_cnn, which has two dense layers
