"""The page of a verification: the verdict comes first, there are no external resources, and names are escaped."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.parity.linear import SPEC, LinearFile, Subject, make_subject
from tests.report import test_page_in_browser as in_browser
from tests.report.conftest import draw_photos
from tests.report.test_html import HOSTILE, Page
from zoo.evaluation.warnings import ModelWarning
from zoo.parity import Gates, Verification
from zoo.report.verification import write_verification_page


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Subject:
    """Photos whose class names are HTML."""
    root = tmp_path_factory.mktemp("photos")
    rows = [(file, label) for label, files in draw_photos(root, HOSTILE, 8).items() for file in files]
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    (root / "labels.csv").write_text("\n".join(["path,label", *lines]), encoding="utf-8")
    return make_subject(root / "labels.csv", tuple(sorted(HOSTILE)))


def write(found: Verification, subject: Subject, folder: Path) -> Page:
    return Page(write_verification_page(found, subject.data.root, folder / "new" / "verification.html"))


def skewed(subject: Subject) -> LinearFile:
    """A file that is biased towards its first class."""
    return replace(subject.file, bias=subject.file.bias + np.array([5, 0, 0], np.float32))


def headings(folder: Path) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", (folder / "new" / "verification.html").read_text(encoding="utf-8"))


def test_a_page_of_a_file_that_passed(subject: Subject, tmp_path: Path) -> None:
    page = write(subject.verify(tmp_path, subject.file), subject, tmp_path)
    assert headings(tmp_path) == [
        "Gates",
        "Flipped predictions",
        "Metrics of both models",
        "Differences of the probabilities",
        "Class by class",
        "Contract",
        "Provenance",
    ]
    assert "Verified: the file predicts the same class as Keras for all 24 test images" in page.words
    assert "Names, shapes, types, labels and preprocessing are as required." in page.words
    assert "model.npz against linear (fitted)" in page.words
    assert subject.file.metadata is not None
    assert subject.file.metadata.model_digest[:8] in page.words
    assert page.open == []


def test_a_page_of_a_file_that_failed(subject: Subject, tmp_path: Path) -> None:
    found = subject.verify(tmp_path, skewed(subject))
    assert found.values is not None
    assert found.values.flips
    page = write(found, subject, tmp_path)
    assert headings(tmp_path)[0] == "Reasons for the failure"
    assert "Not verified for the reasons below" in page.words
    assert "failed" in page.words
    assert page.seen.count("img") == len(found.values.flips)
    assert page.without_alt == 0
    for flip in found.values.flips:
        assert f"margin {flip.margin:.3g}" in page.words
        assert flip.file in page.text


def test_the_gates_call_keras_by_its_name(subject: Subject, tmp_path: Path) -> None:
    gates = Gates(min_agreement=0.5, max_accuracy_drop=0.5)
    page = write(subject.verify(tmp_path, subject.file, gates), subject, tmp_path)
    assert "Agreement with Keras, 24 test images" in page.words
    assert "as keras" not in page.words


def test_the_page_needs_nothing_from_outside_and_names_are_text(subject: Subject, tmp_path: Path) -> None:
    page = write(subject.verify(tmp_path, skewed(subject)), subject, tmp_path)
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert not {"script", "link", "iframe", "object", "form"} & set(page.seen)
    for label in HOSTILE:
        assert label in page.text
    text = (tmp_path / "new" / "verification.html").read_text(encoding="utf-8")
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    assert "url(" not in text


def test_the_page_warns_of_a_model_of_no_use_and_of_thin_evidence(subject: Subject, tmp_path: Path) -> None:
    found = subject.verify(tmp_path, subject.file, Gates(min_agreement=0.98))
    assert found.thin
    assert found.values is not None
    doubted = replace(found, values=replace(found.values, warnings=(ModelWarning("one_class", "All are <b>one</b>."),)))
    page = write(doubted, subject, tmp_path)
    assert headings(tmp_path)[0] == "Warnings"
    assert "All are <b>one</b>." in page.text
    assert "But see the warnings below" in page.words
    assert "Passed on thin evidence: the file predicts the same class as Keras for all 24 test images" in page.words
    assert "24 of 24 test images cannot distinguish 98.0 % from 96.0 %" in page.words


def test_a_file_that_could_not_be_asked_has_a_page_as_well(subject: Subject, tmp_path: Path) -> None:
    inputs = (replace(subject.file.inputs[0], name="<b>x</b>", shape=(None, 3, *SPEC.input_shape[:2])),)
    page = write(subject.verify(tmp_path, replace(subject.file, inputs=inputs, metadata=None)), subject, tmp_path)
    assert headings(tmp_path) == ["Reasons for the failure", "Contract", "Provenance"]
    assert "no image could be predicted" in page.words
    assert "<b>x</b>" in page.text


#: The content of ``quantization.json``, with more tensors than the page shows.
QUANTIZATION = {
    "calibrated": {"agreement": 0.995, "divergence": 0.001},
    "distilled": {"images": 512, "before": 0.0275, "after": 0.0201, "kept": True},
    "in_float": [{"name": "<b>stem</b>", "extra_bytes": 999}],
    "float_operators": {"Conv": 2, "<b>Elu</b>": 1},
    "noise": [{"name": f"block_{number}", "before": 0.04, "after": 0.0001 * number} for number in range(1, 23)],
}


def test_the_page_of_an_int8_file_tells_the_cost_of_each_tensor(subject: Subject, tmp_path: Path) -> None:
    found = subject.verify(tmp_path, subject.file)
    page = Page(write_verification_page(found, subject.data.root, tmp_path / "page.html", QUANTIZATION))
    assert "ranges on 512 images, mirrored copies included, reduced the error" in page.words
    assert "on images held out from this training, from 0.0275 to 0.0201" in page.words
    assert "<b>stem</b> (999 bytes more)" in page.text
    assert "3 operators run in float32" in page.text
    assert "Conv (2), <b>Elu</b> (1)." in page.text
    assert "block_220.20.04698.7 %" in page.words  # the square roots, and 22 of 253 ten-thousandths
    assert "All together: 0.938 before, 0.159 after. The other 2 tensors" in page.words
    assert page.words.index("block_220.2") < page.words.index("block_210.2")
    assert "block_20.2" not in page.words


def test_the_page_of_an_int8_file_of_an_earlier_version(subject: Subject, tmp_path: Path) -> None:
    found = subject.verify(tmp_path, subject.file)
    kept = {name: value for name, value in QUANTIZATION.items() if name not in ("noise", "float_operators")}
    old = kept | {"distilled": None, "in_float": []}
    page = Page(write_verification_page(found, subject.data.root, tmp_path / "page.html", old))
    assert "There were too few calibration images to train its weights." in page.words
    assert "Standard deviation" not in page.words
    assert "in float32, because" not in page.words


@pytest.mark.parametrize("width_px", [320, 1280])
def test_a_browser_shows_it_at_any_width_without_complaint(
    browser: Any, subject: Subject, tmp_path: Path, width_px: int
) -> None:
    write(subject.verify(tmp_path, skewed(subject)), subject, tmp_path)
    page, trouble = in_browser.opened(
        browser, tmp_path / "new" / "verification.html", viewport={"width": width_px, "height": 844}
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert trouble == []


def test_missing_pictures_are_shown_as_missing(subject: Subject, tmp_path: Path) -> None:
    found = subject.verify(tmp_path, skewed(subject))
    assert found.values is not None
    path = write_verification_page(found, tmp_path / "nowhere", tmp_path / "page.html")
    assert Page(path).text.count("picture missing") == len(found.values.flips) > 0


def test_no_picture_is_shown_without_a_root_whatever_its_name(subject: Subject, tmp_path: Path) -> None:
    found = subject.verify(tmp_path, skewed(subject))
    assert found.values is not None
    flips = tuple(replace(flip, file=str(subject.data.root / flip.file)) for flip in found.values.flips)
    found = replace(found, values=replace(found.values, flips=flips))
    path = write_verification_page(found, None, tmp_path / "page.html")
    assert "data:image" not in path.read_text(encoding="utf-8")
    assert Page(path).text.count("picture missing") == len(flips) > 0
