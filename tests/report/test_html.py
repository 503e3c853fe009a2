from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.report.conftest import MakeRun, write_run
from zoo.atomic import write_csv, write_json
from zoo.cli.summary import told_of_run
from zoo.errors import UsageError
from zoo.evaluation import wilson_interval
from zoo.recipe import Recipe
from zoo.report.html import write_report
from zoo.run_folder import Run, open_run

HOSTILE = ("<script>alert(1)</script>", 'a,b"c', "класс_é")
VOID = {"meta", "img", "source", "br", "wbr"}


class Page(HTMLParser):
    """A strict parser, which checks that tags are balanced and collects addresses, headings and text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.addresses: list[str] = []
        self.without_alt = 0
        self.text = ""
        self.feed(path.read_bytes().decode("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        values = dict(attrs)
        self.addresses += [str(values[key]) for key in ("src", "srcset", "href", "action", "data") if key in values]
        self.without_alt += tag == "img" and not values.get("alt")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", self.text)


def test_the_sections_have_the_order_of_a_practitioner_s_questions(make_run: MakeRun) -> None:
    run = make_run(each=20, strength=2.0)
    path = write_report(run, np.zeros((4, 8, 8, 3), np.float32))
    page = Page(path)
    assert path == run.path / "report.html"
    headings = re.findall(r"<h2>(.*?)</h2>", path.read_text(encoding="utf-8"))
    assert headings == [
        "Wrong predictions",
        "Class by class",
        "Confusion matrix",
        "Log loss and calibration",
        "Use the model",
        "Training",
        "Data",
        "Training images",
        "Augmentation",
        "Recipe and environment",
        "Repeat the training",
    ]
    assert "simple_cnn on photos" in page.words
    assert "of always predicting “rugby”, their most frequent class." in page.words
    assert "zoo train simple_cnn --data photos --seed 0" in page.words
    assert page.open == []
    assert page.without_alt == 0
    assert sorted(file.name for file in (run.path / "plots").iterdir()) == [
        "accuracy.png",
        "augmented.png",
        "class_counts.png",
        "confusion_matrix.png",
        "loss.png",
        "mistakes.png",
        "reliability.png",
        "samples.png",
    ]


@pytest.mark.parametrize(
    ("fields", "said", "of_training"),
    [
        ({}, "turned, shifted, scaled, mirrored and coloured differently in every epoch.", "on augmented images and"),
        (
            {"augmentation": "article"},
            "turned, shifted, scaled and mirrored differently in every epoch.",
            "augmented images",
        ),
        ({"head_epochs": 3}, "differently in every epoch after the epochs of the head.", "on augmented images"),
        (
            {"head_epochs": 3, "epochs": 0, "head_views": 4},
            "The head was trained on the unchanged image and on 3 such versions of each.",
            "on augmented images",
        ),
        ({"head_epochs": 3, "epochs": 0, "dropout": 0.2}, None, "epoch, with dropout, so"),
        ({"augmentation": "none", "dropout": 0.0}, None, "epoch, so they can be worse"),
    ],
)
def test_augmentation_is_shown_as_the_recipe_has_it(
    make_run: MakeRun, fields: dict[str, object], said: str | None, of_training: str
) -> None:
    run = make_run(info={"recipe": Recipe().with_values(fields).as_dict()})
    path = write_report(run, np.zeros((4, 8, 8, 3), np.float32))
    words = Page(path).words
    assert of_training in words
    assert said is None or said in words
    assert ("Augmentation" in re.findall(r"<h2>(.*?)</h2>", path.read_text(encoding="utf-8"))) == (said is not None)
    assert (run.path / "plots" / "augmented.png").exists() == (said is not None)


def test_the_page_needs_nothing_from_outside(make_run: MakeRun) -> None:
    path = write_report(make_run())
    page = Page(path)
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert not {"script", "link", "iframe", "object", "form"} & set(page.seen)
    text = path.read_text(encoding="utf-8")
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    assert "url(" not in text


def test_names_are_text_whatever_is_in_them(make_run: MakeRun) -> None:
    run = make_run(
        HOSTILE,
        each=15,
        strength=1.0,
        skipped=[("bad\udcff<img src=x>.jpg", 'said "no" & <b>left</b>'), ("up\u202egpj.exe", "empty file")],
        info={"command": "zoo train 'a&b' --data \"<x>\"", "machine": {"cpu": "<i>fast</i>"}},
    )
    page = Page(write_report(run))
    assert "script" not in page.seen
    assert not {"i", "x"} & set(page.seen) - {"i"}
    for shown in (*HOSTILE, "bad\\xff<img src=x>.jpg", 'said "no" & <b>left</b>', "up\\u202egpj.exe", "<i>fast</i>"):
        assert shown in page.text
    assert "zoo train 'a&b' --data \"<x>\"" in page.text


def test_missing_and_changed_pictures_are_shown_as_missing(make_run: MakeRun) -> None:
    run = make_run(each=20, strength=0.0)
    photos = Path(run.info.data.root)
    whole = Page(write_report(run)).text
    assert "picture missing" not in whole
    for file in photos.rglob("*.jpg"):
        if "class0" in str(file):
            file.unlink()
        else:
            file.write_bytes(b"no longer a picture")
    wrong = round((1 - run.metrics.accuracy) * run.metrics.n)
    samples = 12
    assert Page(write_report(open_run(run.path))).text.count("picture missing") == wrong + samples > samples


def test_an_old_run_with_the_basics_alone_still_has_a_page(make_run: MakeRun) -> None:
    full = make_run(each=8)
    for name in ("history.csv", "split.csv", "skipped.csv"):
        (full.path / name).unlink()
    kept = {key: full.info.as_dict()[key] for key in ("format", "architecture", "labels", "image", "recipe", "seed")}
    write_json(full.path / "run.json", kept)
    few = ("n", "accuracy", "accuracy_interval")
    write_json(full.path / "metrics.json", {key: full.metrics.as_dict()[key] for key in few})
    page = Page(write_report(open_run(full.path)))
    assert "simple_cnn predicts" in page.words
    assert "Recipe and environment" in page.words
    assert "Training time" not in page.words


@pytest.mark.parametrize(
    ("strength", "standing", "said"),
    [
        (9.0, "better", "significantly more than the"),
        (-9.0, "worse", "significantly less than the 50.0\u00a0% of always predicting"),
        (0.0, "unsure", "<b>This result is not significantly better than</b> the 50.0\u00a0% of always predicting"),
    ],
)
def test_the_verdict_weighs_accuracy_against_the_majority(
    make_run: MakeRun, strength: float, standing: str, said: str
) -> None:
    run = make_run(each=20, strength=strength, epochs=1)
    assert run.metrics.against_baseline == standing
    assert said in write_report(run).read_text(encoding="utf-8")
    sentence = "This result is not significantly better than always predicting 'rugby'."
    assert (sentence in told_of_run(run)) == (standing == "unsure")


def test_the_weakest_class_is_named_in_terminal_and_page(make_run: MakeRun) -> None:
    run = make_run(each=20, strength=0.5)
    weakest = min((row for row in run.metrics.per_class), key=lambda row: row.recall or 0.0)
    matrix = run.metrics.confusion_matrix
    assert matrix is not None
    place = run.labels.index(weakest.label)
    found = f"{matrix[place][place]} of {weakest.support} found"
    assert f"Weakest class: {weakest.label}, {found}." in told_of_run(run)
    assert make_run(each=10, strength=30.0).metrics.weakest_class is None
    path = write_report(run)
    page = Page(path)
    assert f"Weakest class: {weakest.label}, {found}." in page.words
    # Log loss and calibration have a separate section, and the commands to use the run are exact.
    text = path.read_text(encoding="utf-8")
    assert "log loss" not in text.split('<dl class="key-figures">')[1].split("</dl>")[0].lower()
    section = text.split('<section id="calibration">')[1].split("</section>")[0]
    assert "log loss" in section
    assert "calibration error" in section
    assert f"zoo predict {run.path} photo.jpg\n" in page.text
    assert f"zoo export {run.path} --precision float32 --precision int8" in page.text
    assert f"import zoo\n\nrun = zoo.load({str(run.path)!r})\n" in page.text


@pytest.mark.parametrize(
    ("mean", "said"),
    [
        (
            0.85,
            "4 test images show neither overconfidence nor underconfidence: mean confidence 85.0 %, accuracy 75.0 %",
        ),
        (0.99, "On average the model is overconfident: mean confidence 99.0 %, accuracy 75.0 %"),
        (0.25, "On average the model is underconfident: mean confidence 25.0 %, accuracy 75.0 %"),
    ],
)
def test_confidence_is_judged_only_beyond_chance(make_run: MakeRun, mean: float, said: str) -> None:
    run = make_run(epochs=1)
    low, high = wilson_interval(3, 4)
    figures = {"n": 4, "accuracy": 0.75, "accuracy_interval": [low, high], "mean_confidence": mean}
    write_json(run.path / "metrics.json", {**run.metrics.as_dict(), **figures})
    assert said in Page(write_report(open_run(run.path))).words


def test_a_perfect_run_has_no_gallery(make_run: MakeRun) -> None:
    run = make_run(each=10, strength=30.0)
    assert "None: all 8 test images are predicted correctly." in Page(write_report(run)).words
    assert not (run.path / "plots" / "mistakes.png").exists()


def test_long_lists_are_cut_and_say_so(make_run: MakeRun) -> None:
    run = make_run(each=80, strength=0.0, skipped=[(f"file{i}.jpg", "truncated JPEG") for i in range(75)])
    page = Page(write_report(run))
    assert "file49.jpg" in page.text
    assert "file50.jpg" not in page.text
    assert "25 more files are listed in skipped.csv." in page.words
    assert re.search(r"The other \d+, which are less confident, are in predictions.csv", page.words)


def test_many_classes_make_a_page_as_well(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run([f"class {i:03d}" for i in range(120)], each=3, strength=4.0)
    path = write_report(run)
    assert path.stat().st_size < 3_000_000
    page = Page(path)
    assert "These are the first 42 of 120 classes." in page.words
    assert "Top-5 accuracy" in page.words


def test_an_unfinished_run_is_refused(make_run: MakeRun) -> None:
    run = make_run()
    (run.path / "metrics.json").unlink()
    with pytest.raises(UsageError, match="not finished"):
        write_report(Run(run.path, run.info))


def test_tiny_pictures_stay_sharp(make_run: MakeRun) -> None:
    run = make_run(info={"image": {"height_px": 16, "width_px": 16, "resize": "squash", "interpolation": "area"}})
    text = write_report(run).read_text(encoding="utf-8")
    assert 'width="16" height="16" class="pixels"' in text
    assert "image/jpeg" not in text


def test_writing_again_replaces_everything(make_run: MakeRun) -> None:
    run = make_run()
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    assert not list(run.path.rglob(".*"))


def test_real_photographs_with_a_page_of_reasonable_size(tmp_path: Path, shared_data: Path) -> None:
    photos = shared_data / "ccby_coarse"
    names: dict[str, list[str]] = {}
    for file in sorted(photos.glob("*/*.jpg")):
        names.setdefault(file.parent.name, []).append(f"{file.parent.name}/{file.name}")
    path = write_report(write_run(tmp_path, photos, names, strength=1.5))
    assert 200_000 < path.stat().st_size < 3_000_000
    assert "picture missing" not in path.read_text(encoding="utf-8")


def test_a_file_name_that_is_no_utf8_is_found_and_shown(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(each=10, strength=0.0)
    photos = Path(run.info.data.root)
    rows = run.split()
    sample = next(row for row in rows if row["split"] == "train")
    odd = "class0/caf\udce9.jpg"
    try:
        (photos / sample["path"]).rename(os.fsencode(photos / odd).decode("utf-8", "surrogateescape"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    sample["path"] = odd
    write_csv(run.path / "split.csv", list(rows[0]), [list(row.values()) for row in rows])
    assert "picture missing" not in Page(write_report(run)).text


def test_importing_evaluation_loads_neither_scikit_learn_nor_matplotlib() -> None:
    heavy = "('sklearn', 'scipy', 'matplotlib', 'keras')"
    code = f"import sys, zoo.evaluation, zoo.report; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
