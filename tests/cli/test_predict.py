"""``zoo predict``, the real command, on the digits run and its exported files."""

from __future__ import annotations

import csv
import json
import os
import pty
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import Result, RunZoo, draw_photo, zoo_command, zoo_environment
from tests.images.test_listen import half_gray

PHOTOS = 5


@pytest.fixture(scope="module")
def onnx(digits_exports: Path) -> Path:
    return digits_exports / "simple_cnn-onnx-float32"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(PHOTOS):
        draw_photo(tmp_path / "photos" / f"below_{number % 2}" / f"{number}.jpg", hue=30 * number, seed=number)
    draw_photo(tmp_path / "photos" / ".hidden" / "0.jpg", hue=0, seed=0)
    return tmp_path / "photos"


def lines(done: Result) -> list[dict[str, object]]:
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def test_all_kinds_of_model_say_the_same(digits_run: Path, digits_exports: Path, run_zoo: RunZoo, photos: Path) -> None:
    shutil.copytree(digits_run, photos.parent / "runs" / digits_run.name)
    models = [
        onnx_folder := digits_exports / "simple_cnn-onnx-float32",
        digits_exports / "simple_cnn-tflite-float32",
        onnx_folder / "simple_cnn.onnx",
        digits_exports / "simple_cnn-tflite-float32" / "simple_cnn.tflite",
        digits_run,
        "simple_cnn",
    ]
    found = [lines(run_zoo("predict", model, "photos", "--json", "--top", "10")) for model in models]
    names = [f"photos/below_{number % 2}/{number}.jpg" for number in (0, 2, 4, 1, 3)]
    for answers in found:
        assert [answer["file"] for answer in answers] == names
        assert [answer["label"] for answer in answers] == [answer["label"] for answer in found[0]]
        for answer, first in zip(answers, found[0], strict=True):
            assert answer["probability"] == pytest.approx(first["probability"], abs=1e-4)
            assert isinstance(answer["top"], list)
            assert len(answer["top"]) == 10
    # The runner in the bundle prints the very same lines.
    alone = [sys.executable, "-I", onnx_folder / "run.py", "photos", "--json", "--top", "10"]
    done = subprocess.run(alone, cwd=photos.parent, capture_output=True, check=True)
    assert [json.loads(line) for line in done.stdout.splitlines()] == found[0]


def test_a_pipe_gets_plain_lines_and_csv_the_same_in_columns(onnx: Path, run_zoo: RunZoo, photos: Path) -> None:
    answers = lines(run_zoo("predict", onnx, photos, "--json"))
    plain = run_zoo("predict", onnx, photos)
    assert len(plain.out.splitlines()) == PHOTOS
    for line, answer in zip(plain.out.splitlines(), answers, strict=True):
        (best, share), (second, _) = (likely.values() for likely in answer["top"])  # type: ignore[attr-defined]
        assert line.startswith(f"{answer['file']}: {best} {100 * share:.1f} %, {second} ")
    assert plain.err == ""
    # LiteRT's runtime prints nothing either.
    assert run_zoo("predict", onnx.with_name("simple_cnn-tflite-float32"), photos).err == ""

    one = run_zoo("predict", onnx, photos, "--top", "1")
    assert [line.partition(",")[0] for line in plain.out.splitlines()] == one.out.splitlines()

    done = run_zoo("predict", onnx, photos, "--out", "answers.csv", "--threads", "2")
    assert (done.code, done.out) == (0, "5 photos: written to answers.csv\n")
    with (photos.parent / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "label", "probability", "label_2", "probability_2", "remark", "error", "model"]
    assert [(row["file"], row["label"]) for row in rows] == [(answer["file"], answer["label"]) for answer in answers]
    assert [float(row["probability"]) for row in rows] == pytest.approx([answer["probability"] for answer in answers])


@pytest.mark.parametrize("more", [[], ["--top", "1"]])
def test_a_terminal_gets_a_table(onnx: Path, site: Path, photos: Path, more: list[str]) -> None:
    ours, theirs = pty.openpty()
    command = zoo_command("predict", onnx, "photos", *more)
    done = subprocess.run(command, cwd=photos.parent, env=zoo_environment(site), stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode().splitlines()
    os.close(ours)
    assert done.returncode == 0, done.stderr.decode()
    assert shown[0].split() == ["file", "label", "confidence", *([] if more else ["next", "best"])]
    assert len(shown) == 1 + PHOTOS
    for line in shown[1:]:
        assert line.index(" %") + 2 == shown[0].index("confidence") + len("confidence")
        assert line.count(" %") == (1 if more else 2)


@pytest.mark.parametrize("kind", ["bundle", "run"])
def test_bad_files_are_named_and_skipped(
    onnx: Path, digits_run: Path, run_zoo: RunZoo, photos: Path, kind: str
) -> None:
    (photos / "below_0" / "broken.jpg").write_bytes((photos / "below_0" / "0.jpg").read_bytes()[:300])
    (photos / "notes.txt").write_text("no picture")
    model = onnx if kind == "bundle" else digits_run
    done = run_zoo("predict", model, "photos", "not-there.jpg", "--json")
    assert done.code == 4
    assert len(done.out.splitlines()) == PHOTOS
    skipped = [line.split(":")[0] for line in done.err.splitlines() if line.startswith("Skipped")]
    # Text files in a folder are ignored without a message.
    assert sorted(skipped) == ["Skipped not-there.jpg", "Skipped photos/below_0/broken.jpg"]
    assert done.err.endswith("Error: 2 of 7 files were skipped.\n")


def test_a_photo_that_is_used_though_damaged_is_named_once(onnx: Path, run_zoo: RunZoo, photos: Path) -> None:
    for number in range(40):
        draw_photo(photos / "more" / f"{number}.jpg", hue=4 * number, seed=number)
    damaged = [photos / "below_0" / "2.jpg", photos / "more" / "7.jpg"]
    damaged[0].write_bytes(half_gray(damaged[0].read_bytes()))
    damaged[1].write_bytes(damaged[1].read_bytes()[:-2])
    done = run_zoo("predict", onnx, photos, "--json", "--threads", "4")
    assert (done.code, len(done.out.splitlines())) == (0, 45)
    assert done.err.splitlines() == [
        f"Note: {damaged[0]}: the decoder warns: Corrupt JPEG data: premature end of data segment.",
        f"Note: {damaged[1]}: JPEG without end marker, otherwise complete.",
    ]


def test_a_bundle_needs_nothing_heavy(digits_exports: Path, photos: Path) -> None:
    for name in ("onnx", "tflite"):
        bundle = digits_exports / f"simple_cnn-{name}-float32"
        code = (
            f"import sys; sys.argv = ['zoo', 'predict', {str(bundle)!r}, 'photos']\n"
            "from zoo.cli.main import main\n"
            "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
            "print([name for name in ('tensorflow', 'keras', 'sklearn', 'scipy', 'jax') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=photos.parent, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "[]"


def test_an_archive_predicts_like_its_folder(
    digits_exports: Path, run_zoo: RunZoo, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    for name in ("onnx", "tflite"):
        folder = digits_exports / f"simple_cnn-{name}-float32"
        expected = lines(run_zoo("predict", folder, photos, "--json"))
        packed = run_zoo("predict", f"{folder}.zip", photos, "--json", env={"TMPDIR": str(tmp_path / "tmp")})
        assert lines(packed) == expected
    content = Path(f"{folder}.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[: len(content) // 2])
    done = run_zoo("predict", "cut.zip", photos, env={"TMPDIR": str(tmp_path / "tmp")})
    assert (done.code, done.out) == (6, "")
    assert "cut.zip is damaged" in done.err
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.write(folder / "spec.json", "bundle/spec.json")
        archive.writestr("../../climbed.txt", "out")
    done = run_zoo("predict", "evil.zip", photos, env={"TMPDIR": str(tmp_path / "tmp")})
    assert (done.code, "'../../climbed.txt' points outside its folder" in done.err) == (6, True)
    assert not list((tmp_path / "tmp").glob("zoo-*"))  # ONNX Runtime itself leaves a file there
    assert not list(tmp_path.rglob("climbed.txt"))


@pytest.fixture
def stranger(onnx: Path, tmp_path: Path) -> Path:
    """The file without zoo's metadata, as another tool would have written it."""
    import onnx as onnx_package

    model = onnx_package.load(str(onnx / "simple_cnn.onnx"))
    del model.metadata_props[:]
    onnx_package.save(model, str(tmp_path / "stranger.onnx"))
    return tmp_path / "stranger.onnx"


def test_a_file_of_somebody_else_is_told_what_is_missing(
    stranger: Path, onnx: Path, run_zoo: RunZoo, photos: Path, tmp_path: Path
) -> None:
    def refused(*arguments: str | Path) -> str:
        done = run_zoo("predict", stranger, photos, *arguments)
        assert (done.code, done.out) == (2, "")
        return done.err

    said = refused()
    assert all(word in said for word in ("class names", "preprocessing", "--spec", "--labels"))
    labels = onnx / "labels.txt"
    assert "--labels" not in refused("--labels", labels)
    image = json.loads((onnx / "spec.json").read_text())["image"]
    (tmp_path / "image.json").write_text(json.dumps(image))
    assert "--spec" not in refused("--spec", "image.json")

    expected = lines(run_zoo("predict", onnx, photos, "--json"))
    assert lines(run_zoo("predict", stranger, photos, "--json", "--spec", "image.json", "--labels", labels)) == expected
    assert lines(run_zoo("predict", stranger, photos, "--json", "--spec", onnx / "spec.json")) == expected

    (tmp_path / "few.txt").write_text("one\ntwo\n")
    assert "returns the shape (1, 10)" in refused("--spec", "image.json", "--labels", "few.txt")
    (tmp_path / "large.json").write_text(json.dumps(image | {"height_px": 99}))
    assert "expected one image (batch, 99, " in refused("--spec", "large.json", "--labels", labels)
    (tmp_path / "odd.json").write_text('{"size": 28}')
    assert "'odd.json' is not a valid image specification" in refused("--spec", "odd.json", "--labels", labels)
    (tmp_path / "odd.json").write_text("[1]")
    assert "'odd.json' cannot be used: expected an object" in refused("--spec", "odd.json", "--labels", labels)
    assert "Could not read 'gone.json'" in refused("--spec", "gone.json", "--labels", labels)
    done = run_zoo("predict", onnx / "simple_cnn.onnx", photos, "--labels", labels)
    assert (done.code, "contains its own" in done.err) == (2, True)
    done = run_zoo("predict", onnx, photos, "--labels", labels)
    assert (done.code, "--spec and --labels apply only to" in done.err) == (2, True)


def test_a_file_that_returns_no_probabilities_is_told(
    stranger: Path, onnx: Path, run_zoo: RunZoo, photos: Path
) -> None:
    import onnx as onnx_package

    model = onnx_package.load(str(stranger))
    (last,) = (node for node in model.graph.node if "probabilities" in node.output)
    assert last.op_type == "Softmax"
    last.op_type = "Identity"
    del last.attribute[:]
    onnx_package.save(model, str(stranger))
    done = run_zoo("predict", stranger, photos, "--spec", onnx / "spec.json")
    assert (done.code, "does not return probabilities" in done.err) == (2, True)


def test_what_is_less_likely_is_unknown(onnx: Path, digits_run: Path, run_zoo: RunZoo, photos: Path) -> None:
    asked = lines(run_zoo("predict", onnx, photos, "--json"))
    middle = sorted(answer["probability"] for answer in asked)[PHOTOS // 2]  # type: ignore[type-var]
    found = lines(run_zoo("predict", onnx, photos, "--json", "--min-confidence", repr(middle)))
    assert {answer["known"] for answer in found} == {True, False}
    assert [answer["label"] for answer in found] == [
        answer["label"] if answer["probability"] >= middle else None  # type: ignore[operator]
        for answer in asked
    ]
    done = run_zoo("predict", onnx, photos, "--out", "answers.csv", "--min-confidence", repr(middle))
    assert done.code == 0, done.err
    with (photos.parent / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["known"] for row in rows] == [str(answer["known"]).lower() for answer in found]
    assert [row["label"] or None for row in rows] == [answer["label"] for answer in found]
    assert [row["likeliest"] for row in rows] == [answer["label"] for answer in asked]

    exported = run_zoo("export", digits_run, "--format", "onnx", "--no-verify", "--out", photos.parent / "unverified")
    assert exported.code == 0, exported.err
    unverified = photos.parent / "unverified" / onnx.name
    done = run_zoo("predict", unverified, photos, "--min-confidence", "auto")
    assert (done.code, "suggests no threshold" in done.err) == (2, True)
    run = Path(shutil.copytree(digits_run, photos.parent / "run"))
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps(metrics | {"min_confidence": {"suggested": middle}}))
    of_run = lines(run_zoo("predict", run, photos, "--json", "--min-confidence", "auto"))
    assert {answer["known"] for answer in of_run} == {True, False}
    (run / "metrics.json").write_text(json.dumps(metrics | {"min_confidence": None}))
    done = run_zoo("predict", run, photos, "--min-confidence", "auto")
    assert (done.code, "suggests no threshold" in done.err) == (2, True)


def test_rotated_and_animated_pictures_are_read_as_everywhere(onnx: Path, run_zoo: RunZoo, tmp_path: Path) -> None:
    from PIL import Image

    draw_photo(tmp_path / "photos" / "upright.png", hue=60, seed=3)
    upright = Image.open(tmp_path / "photos" / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "photos" / "rotated.png", exif=exif)
    other = upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    upright.save(tmp_path / "photos" / "animated.webp", save_all=True, append_images=[other], lossless=True)
    found = {answer["file"]: answer["top"] for answer in lines(run_zoo("predict", onnx, "photos", "--json"))}
    assert len(found) == 3
    assert found["photos/rotated.png"] == found["photos/animated.webp"] == found["photos/upright.png"]


def test_a_damaged_bundle_is_refused(onnx: Path, run_zoo: RunZoo, photos: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(onnx, tmp_path / "bundle")
    model = copy / "simple_cnn.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    done = run_zoo("predict", copy, photos, "--out", "answers.csv")
    assert done.code == 6
    assert "simple_cnn.onnx has been changed" in done.err
    model.write_bytes(content[:1000])
    assert "simple_cnn.onnx is truncated: 1000 of" in run_zoo("predict", copy, photos).err
    (copy / "spec.json").unlink()
    done = run_zoo("predict", copy, photos)
    assert done.code == 6
    assert "spec.json is missing" in done.err
    assert not (tmp_path / "answers.csv").exists()


def test_what_is_no_model_is_told_what_would_be_one(
    onnx: Path, digits_run: Path, run_zoo: RunZoo, photos: Path, tmp_path: Path
) -> None:
    done = run_zoo("predict", "mobilenet", photos)
    assert done.code == 2
    assert all(
        word in done.err for word in ("'mobilenet' is not a model", "spec.json", ".onnx", "run", "mobilenetv2'?")
    )

    done = run_zoo("predict", "gone.onnx", photos)
    assert done.code == 2
    assert "does not exist" in done.err

    (tmp_path / "file").touch()
    done = run_zoo("predict", "gone.onnx", photos, "--out", "file/answers.csv")
    assert "Could not write file: a file is in the way" in done.err, "told before anything is loaded"

    done = run_zoo("predict", digits_run, photos, "--threads", "2")
    assert done.code == 2
    assert "--threads" in done.err

    (tmp_path / "empty").mkdir()
    done = run_zoo("predict", onnx, "empty")
    assert done.code == 4
    assert "no images in empty" in done.err


def test_a_reader_that_leaves_ends_the_command_without_a_word(onnx: Path, site: Path, photos: Path) -> None:
    command = zoo_command("predict", onnx, *["photos"] * 200, "--json")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=photos.parent, env=zoo_environment(site), **pipes) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline().startswith(b'{"file"')
        running.stdout.close()  # as `| head -1` does
        assert running.stderr.read() == b""
    assert running.returncode == 0
