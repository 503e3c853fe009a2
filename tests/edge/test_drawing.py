"""``--show`` and ``--save``: images with the prediction drawn onto them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.conftest import draw_photo
from tests.edge.conftest import RunBundle, runner_command
from tests.edge.test_http_connection import Gate
from zoo.edge import drawing
from zoo.edge.classify import Classifier
from zoo.edge.drawing import Viewer, can_draw, draw
from zoo.errors import UsageError
from zoo.image_spec import ImageSpec


@pytest.fixture(params=["OpenCV 5", "before"])
def font(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Runs a test with the font of OpenCV 5, and with those of earlier versions."""
    can_draw.cache_clear()
    if request.param == "before":
        monkeypatch.setattr(drawing, "_face", lambda: None)
    elif not hasattr(cv2, "FontFace"):
        pytest.skip("this is an OpenCV before 5")
    yield str(request.param)
    can_draw.cache_clear()


def classifier() -> Classifier:
    """Predicts 25 % "cat" and 75 % the Thai word for cat, which is below the threshold."""
    model = Gate()
    model.open.set()
    return Classifier(model, ImageSpec(height_px=8, width_px=8), ("cat", "แมว"), min_confidence=0.8)


def test_which_names_can_be_drawn(font: str) -> None:
    names = {
        "Was ist das?": True,
        "Großer Buntspecht": None,
        "cafe\u0301": None,  # decomposed, as in file names of macOS
        "кошка": None,
        "γάτα": None,
        "啄木鸟 コゲラ 고양이": None,
        "बिल्ली": False,
        "แมว": False,
        "חתול": False,  # the font has the letters, but they would be drawn in the wrong order
        "قطة": False,
        "🐱": False,
        "a\nb": False,
    }
    expected = {name: font == "OpenCV 5" if drawn is None else drawn for name, drawn in names.items()}
    assert {name: can_draw(name) for name in names} == expected


def test_the_text_is_within_a_picture_of_any_size(font: str) -> None:
    for shape in ((1, 1), (30, 300), (300, 40), (240, 320), (1200, 1600)):
        pixels = np.full((*shape, 3), 90, np.uint8)
        picture = draw(pixels, ["unknown", f"{'a long name ' * 6}98.7 %"])
        assert picture.dtype == np.uint8
        assert (pixels == 90).all()  # the original image is not changed
        letters = (picture > 150).any(axis=2)
        if min(shape) > 100:
            rows, columns = np.nonzero(letters)
            height, width = picture.shape[:2]
            assert 0 < rows.min() < rows.max() < height / 4
            assert 0 < columns.min() < columns.max() < width - 1
            assert (picture[height // 2 :] == 90).all()


def test_a_name_that_cannot_be_drawn_is_its_number_and_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn: list[list[str]] = []
    viewer = Viewer(classifier(), 2, tmp_path / "out", show=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "draw", lambda pixels, lines: drawn.append(lines) or pixels)
        for _ in range(2):
            viewer.classify("a/b: c.png", np.zeros((8, 8, 3), np.uint8))
    assert drawn == [["unknown", "class 2 75.0 %", "cat 25.0 %"]] * 2
    assert capsys.readouterr().err == (
        'Note: The font cannot draw "แมว". Its line in labels.txt is drawn instead: "class 2".\n'
    )
    saved = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(saved) == 2  # no file replaced another
    assert all(name.startswith("b_ c-") and name.endswith(".jpg") for name in saved)


def test_a_picture_that_is_too_long_for_jpeg_is_saved_smaller(tmp_path: Path) -> None:
    Viewer(classifier(), 1, tmp_path, show=False).classify("long", np.zeros((70_000, 30, 3), np.uint8))
    (saved,) = tmp_path.iterdir()
    picture: Any = cv2.imread(str(saved))
    assert picture.shape == (65_500, 28, 3)


def test_every_frame_of_a_video_is_saved(onnx_bundle: Path, run_bundle: RunBundle, tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "walk.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (320, 240))
    for number in range(3):
        writer.write(np.full((240, 320, 3), (200, 40 * number, 10), np.uint8))
    writer.release()
    plain = run_bundle(onnx_bundle, "--camera", "walk.avi", "--json")
    done = run_bundle(onnx_bundle, "--camera", "walk.avi", "--json", "--save", "seen/new")
    assert (done.code, done.err, done.out) == (0, "", plain.out)  # the same predictions
    saved = sorted((tmp_path / "seen" / "new").iterdir())
    assert [path.name.split("-")[0] for path in saved] == ["frame 1", "frame 2", "frame 3"]
    picture: Any = cv2.imread(str(saved[2]))
    assert picture.shape == (240, 320, 3)
    assert np.abs(picture[200, 160].astype(int) - (200, 80, 10)).max() < 12  # the channels are in the right order
    assert picture[:30].max() > 230  # letters


def test_a_watched_folder_is_not_where_pictures_are_saved(
    onnx_bundle: Path, run_bundle: RunBundle, tmp_path: Path
) -> None:
    (tmp_path / "inbox").mkdir()
    done = run_bundle(onnx_bundle, "--watch", "inbox", "--save", tmp_path / "inbox")
    assert (done.code, "Save into another one." in done.err) == (2, True)


def test_what_is_put_into_a_watched_folder_is_saved_upright(onnx_bundle: Path, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "inbox").mkdir()
    draw_photo(tmp_path / "photo.png", 60, 3, (300, 240))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate clockwise
    command = runner_command(onnx_bundle, "--watch", tmp_path / "inbox", "--save", tmp_path / "out", "--json")
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stderr.readline()
            Image.open(tmp_path / "photo.png").save(tmp_path / "inbox" / "turned.png", exif=exif)
            assert json.loads(process.stdout.readline())["file"].endswith("turned.png")
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 130
        finally:
            process.kill()
    (saved,) = (tmp_path / "out").iterdir()
    assert saved.name.startswith("turned-")
    with Image.open(saved) as picture:
        assert picture.size == (240, 300)


def test_without_a_display_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tkinter", reason="this Python has no Tk")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(UsageError, match="--show finds no display") as found:
        Viewer(classifier(), 1, None, show=True)
    assert "--save FOLDER" in str(found.value)
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(UsageError, match="sudo apt install python3-tk"):
        Viewer(classifier(), 1, None, show=True)
