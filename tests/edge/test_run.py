"""``python run.py`` of a bundle, in a process that cannot import zoo, Keras and TensorFlow."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import draw_photo
from tests.edge.conftest import RunBundle, runner_command
from tests.images.test_listen import half_gray
from zoo.atomic import read_csv
from zoo.image_spec import ImageSpec
from zoo.images import load_image
from zoo.registry import exporters


def test_it_agrees_with_verify_and_with_keras(bundle: Path, digits_run: Path, run_bundle: RunBundle) -> None:
    root = Path(json.loads((digits_run / "run.json").read_text())["data"]["root"])
    rows = read_csv(digits_run / "predictions.csv")[::40]
    assert len(rows) > 5
    done = run_bundle(bundle, "--json", "--top", "10", *(root / row["file"] for row in rows))
    assert (done.code, len(done.out.splitlines())) == (0, len(rows))
    spec = json.loads((bundle / "spec.json").read_text())
    runtime = exporters().get(spec["format"]).load(bundle / spec["model"], 1)
    for line, row in zip(done.out.splitlines(), rows, strict=True):
        answer = json.loads(line)
        assert answer["file"] == str(root / row["file"])
        pixels = load_image(root / row["file"], ImageSpec.from_dict(spec["image"]))
        asked = dict(zip(spec["labels"], runtime.predict(pixels[None])[0].tolist(), strict=True))
        assert {item["label"]: item["probability"] for item in answer["top"]} == asked
        assert answer["label"] == row["predicted"]
        assert answer["probability"] == max(asked.values()) == answer["top"][0]["probability"]
        assert answer["probability"] == pytest.approx(max(float(row[f"p:{label}"]) for label in asked), abs=1e-4)


def test_folders_broken_files_and_standard_input(onnx_bundle: Path, run_bundle: RunBundle, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    draw_photo(photos / "b" / "one.jpg", 20, 1)
    draw_photo(photos / "a two.png", 90, 2)
    draw_photo(photos / ".hidden.png", 90, 2)
    fine = run_bundle(onnx_bundle, photos)
    assert [line.rsplit(": ", 1)[0] for line in fine.out.splitlines()] == [
        str(photos / "a two.png"),
        str(photos / "b" / "one.jpg"),
    ]
    assert (fine.code, "%" in fine.out) == (0, True)
    (photos / "broken.jpg").write_bytes((photos / "b" / "one.jpg").read_bytes()[:300])
    shutil.copy(photos / "a two.png", tmp_path / "last.png")
    done = run_bundle(onnx_bundle, photos, "gone.png", tmp_path / "last.png")
    assert done.code == 4
    assert len(done.out.splitlines()) == 3  # the files after a broken one are predicted too
    assert f"Skipped {photos / 'broken.jpg'}: truncated JPEG." in done.err
    assert "Skipped gone.png: no such file." in done.err
    piped = run_bundle(onnx_bundle, "-", "--top", "2", stdin=(photos / "a two.png").read_bytes())
    assert piped.out.removeprefix("-").split(",")[0] == fine.out.splitlines()[0].removeprefix(str(photos / "a two.png"))
    assert piped.out.count("%") == 2
    assert run_bundle(onnx_bundle, "-").err == "Skipped -: empty file.\n"


def test_a_photo_that_is_used_though_damaged_is_named(onnx_bundle: Path, run_bundle: RunBundle, tmp_path: Path) -> None:
    for number in range(3):
        draw_photo(tmp_path / "photos" / f"{number}.jpg", 20, number)
    damaged = tmp_path / "photos" / "1.jpg"
    damaged.write_bytes(half_gray(damaged.read_bytes()))
    for options in ([], ["--json"]):
        done = run_bundle(onnx_bundle, tmp_path / "photos", *options)
        assert (done.code, len(done.out.splitlines())) == (0, 3)
        warning = "the decoder warns: Corrupt JPEG data: premature end of data segment."
        assert done.err == f"Note: {damaged}: {warning}\n"


def test_notes_and_licences_in_a_folder_are_left_out(onnx_bundle: Path, run_bundle: RunBundle, tmp_path: Path) -> None:
    draw_photo(tmp_path / "photos" / "one.jpg", 20, 1)
    (tmp_path / "photos" / "notes.txt").write_text("Taken on Monday.")
    (tmp_path / "photos" / "LICENSE").write_text("CC0")
    done = run_bundle(onnx_bundle, tmp_path / "photos")
    assert (done.code, len(done.out.splitlines()), done.err) == (0, 1, "")


def test_heic_is_read_where_its_decoder_is_and_named_where_it_is_not(
    onnx_bundle: Path, run_bundle: RunBundle, tmp_path: Path
) -> None:
    pytest.importorskip("pi_heif", reason="pi-heif, which reads HEIC, is not installed")
    pytest.importorskip("pillow_heif", reason="pillow-heif, which writes HEIC, is not installed")
    from tests.images.valid import RGB, heic

    (tmp_path / "IMG_0001.HEIC").write_bytes(heic.encode(RGB))
    done = run_bundle(onnx_bundle, "IMG_0001.HEIC")
    assert (done.code, done.out.startswith("IMG_0001.HEIC: "), done.err) == (0, True, "")
    done = run_bundle(onnx_bundle, "IMG_0001.HEIC", absent="pi_heif")
    assert (done.code, done.out) == (4, "")
    assert done.err == "Skipped IMG_0001.HEIC: HEIC photo; install pi-heif, or convert it to JPEG.\n"


def test_a_folder_without_pictures_is_said(onnx_bundle: Path, run_bundle: RunBundle, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run_bundle(onnx_bundle, tmp_path / "empty")
    assert (done.code, done.out) == (4, "")
    assert "empty: a folder without pictures" in done.err


def test_a_path_that_cannot_be_accessed_is_skipped(onnx_bundle: Path, run_bundle: RunBundle, tmp_path: Path) -> None:
    name = "a" * 300
    done = run_bundle(onnx_bundle, name, onnx_bundle / "golden" / "drawn.png")
    assert (done.code, done.err) == (4, f"Skipped {name}: file name too long.\n")
    assert done.out.startswith(str(onnx_bundle / "golden" / "drawn.png"))


@pytest.mark.parametrize(
    "arguments", [[], ["--selftest", "a.jpg"], ["--top", "0", "a.jpg"], ["--threads", "many", "a.jpg"], ["--nonsense"]]
)
def test_a_wrong_call_ends_with_2(onnx_bundle: Path, run_bundle: RunBundle, arguments: list[str]) -> None:
    done = run_bundle(onnx_bundle, *arguments)
    assert done.code == 2
    assert "usage: run.py" in done.err


@pytest.mark.parametrize(("absent", "wanted"), [("onnxruntime", "onnxruntime>="), ("cv2", "opencv-python-headless>=")])
def test_what_is_not_installed_is_named_with_the_command(
    onnx_bundle: Path, run_bundle: RunBundle, absent: str, wanted: str
) -> None:
    done = run_bundle(onnx_bundle, onnx_bundle / "golden" / "drawn.png", absent=absent)
    assert done.code == 2
    assert f"'{absent}' is not installed" in done.err
    assert "pip install" in done.err
    assert wanted in done.err
    assert "Traceback" not in done.err


def test_threads_do_not_change_the_prediction(onnx_bundle: Path, run_bundle: RunBundle) -> None:
    pictures = onnx_bundle / "golden" / "drawn.png", onnx_bundle / "golden" / "drawn.jpg"
    one, two = (run_bundle(onnx_bundle, "--threads", n, *pictures) for n in ("1", "2"))
    assert one.code == two.code == 0
    assert one.out == two.out


def test_watch_predicts_new_images_and_ends_with_ctrl_c(onnx_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    draw_photo(folder / "was-there.png", 20, 1)
    draw_photo(tmp_path / "new.png", 90, 2)
    content = (tmp_path / "new.png").read_bytes()
    command = runner_command(onnx_bundle, "--watch", folder, "--json")
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        # A shell starts background processes with Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stderr.readline().startswith(b"Watching")
            (folder / ".partial").write_bytes(content)
            (folder / "notes.txt").write_text("no picture")
            (folder / "new.png").write_bytes(content)
            first = json.loads(process.stdout.readline())
            (folder / "new.png").write_bytes(content + b"\n")  # the same name again
            second = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert first["file"] == second["file"] == str(folder / "new.png")
    assert first["top"] == second["top"]
    assert (process.returncode, out) == (130, b"")
    assert b"notes.txt: not an image: text" in err
    assert b"Traceback" not in err


def test_watch_says_that_a_folder_is_not_there(onnx_bundle: Path, run_bundle: RunBundle) -> None:
    done = run_bundle(onnx_bundle, "--watch", "gone")
    assert (done.code, done.err) == (4, "Error: Cannot watch 'gone': No such file or directory.\n")


def test_camera_predicts_every_frame_of_a_video(onnx_bundle: Path, run_bundle: RunBundle, tmp_path: Path) -> None:
    video = tmp_path / "walk.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 5, (64, 48))
    assert writer.isOpened()
    frames = [np.full((48, 64, 3), (200, 40 * n, 10), np.uint8) for n in range(4)]
    for frame in frames:
        writer.write(frame)
    writer.release()
    done = run_bundle(onnx_bundle, "--camera", video, "--json", "--top", "10")
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["file"] for row in rows] == ["frame 1", "frame 2", "frame 3", "frame 4"]
    # The channels must be in the right order: the same frame as a file gets the same prediction.
    stored = cv2.VideoCapture(str(video))
    _, frame = [stored.read() for _ in range(3)][2]
    assert np.abs(frame.astype(int) - frames[2]).max() < 20  # the channels are in the right order
    cv2.imwrite(str(tmp_path / "frame.png"), frame)
    asked = json.loads(run_bundle(onnx_bundle, tmp_path / "frame.png", "--json", "--top", "10").out)
    by_label = {item["label"]: item["probability"] for item in rows[2]["top"]}
    assert by_label == pytest.approx({item["label"]: item["probability"] for item in asked["top"]}, abs=1e-6)


@pytest.mark.parametrize("camera", ["97", "9" * 12, "gone.mp4", "not-a-video.mp4", "a" * 300])
def test_a_camera_that_is_not_there_is_said(
    onnx_bundle: Path, run_bundle: RunBundle, tmp_path: Path, camera: str
) -> None:
    (tmp_path / "not-a-video.mp4").write_text("text")
    done = run_bundle(onnx_bundle, "--camera", camera)
    assert (done.code, done.out) == (4, "")
    assert f"Error: Cannot open {f'camera {camera}' if camera.isdigit() else repr(camera)}" in done.err


def test_a_reader_that_goes_away_ends_it_quietly(onnx_bundle: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = runner_command(onnx_bundle, onnx_bundle / "golden" / "drawn.png")
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, cwd=tmp_path, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_damaged_model_is_no_traceback(bundle: Path, run_bundle: RunBundle) -> None:
    model = bundle / json.loads((bundle / "spec.json").read_text())["model"]
    model.write_bytes(model.read_bytes()[:5000])
    done = run_bundle(bundle, bundle / "golden" / "drawn.png")
    assert done.code == 6
    assert "Traceback" not in done.err
    assert "--selftest" in done.err


def test_it_says_nothing_of_its_own_accord(bundle: Path, run_bundle: RunBundle) -> None:
    done = run_bundle(bundle, bundle / "golden" / "drawn.png")
    assert (done.code, done.err) == (0, "")
    # Started without standard error, like some services.
    command = runner_command(bundle, bundle / "golden" / "drawn.png")
    alone = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", *command], capture_output=True, text=True, check=False)
    assert (alone.returncode, alone.stdout) == (0, done.out)


def test_nothing_is_told_to_the_maker_of_the_runtime_nor_left_in_the_home_folder(bundle: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    # With one of these variables, ONNX Runtime sends no reports; with another, it stores its device ID elsewhere.
    apart = {"CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in apart} | {"HOME": str(home)}
    command = runner_command(bundle, bundle / "golden" / "drawn.png")
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert list(home.iterdir()) == []


def test_a_turned_picture_and_an_animation_are_read_as_everywhere(
    onnx_bundle: Path, run_bundle: RunBundle, tmp_path: Path
) -> None:
    from PIL import Image

    draw_photo(tmp_path / "upright.png", hue=60, seed=3)
    upright = Image.open(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    other = upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    upright.save(tmp_path / "animated.webp", save_all=True, append_images=[other], lossless=True)
    done = run_bundle(onnx_bundle, "--json", "--top", "10", *("upright.png", "turned.png", "animated.webp"))
    assert (done.code, done.err) == (0, "")
    tops = [json.loads(line)["top"] for line in done.out.splitlines()]
    assert len(tops) == 3
    assert tops[0] == tops[1] == tops[2]
