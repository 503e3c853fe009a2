"""The commands ``zoo explain`` and ``zoo export --with-map``, on networks that detect colours without training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from tests.conftest import Result, Zoo, made_once
from tests.edge.conftest import runner_command
from tests.explain.scenes import COLOURS, Scene, colour_network, scene

#: Class names that are hard to draw, to align and to fit.
NAMES = ("كرة القدم", "橄榄球" + "x" * 77)


def write_scene(path: Path, seed: int) -> Scene:
    made = scene(seed, 120, 150, 30)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", made.pixels[..., ::-1])[1].tobytes())
    return made


def save_network(folder: Path, linear: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classes.txt").write_text("\n".join(NAMES))
    colour_network(linear).save(folder / "colours.keras")
    return folder / "colours.keras"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network, photos, and ONNX and TFLite bundles with and without a map, in float32 and int8."""

    def make(folder: Path) -> None:
        from zoo.progress import QuietReporter
        from zoo.workflows.export import ExportRequest, export

        model = save_network(folder)
        for label, name in enumerate(NAMES):
            for seed in range(16):
                write_scene(folder / "photos" / name / f"{seed}.png", 100 * label + seed)
        for out, with_map, precisions in (("mapped", True, ("float32", "int8")), ("plain", False, ("float32",))):
            request = ExportRequest(
                model=str(model),
                formats=("onnx", "tflite"),
                precisions=precisions,
                data=str(folder / "photos"),
                labels=folder / "classes.txt",
                out=folder / out,
                gates={"min_agreement": 0, "max_accuracy_drop": 1},  # the classes cannot be learnt from these colours
                with_map=with_map,
            )
            export(request, QuietReporter()).refuse()

    return made_once(tmp_path_factory, "colour-exports", make)


def test_a_picture_is_written_for_every_photo_and_says_where_the_evidence_lies(zoo: Zoo, tmp_path: Path) -> None:
    model = save_network(tmp_path)
    scenes = {f"photos/{seed}.png": write_scene(tmp_path / "photos" / f"{seed}.png", seed) for seed in range(4)}
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff and no more")
    (tmp_path / "again").mkdir()
    shutil.copy(tmp_path / "photos" / "0.png", tmp_path / "again" / "0.png")
    options = ("--labels", "classes.txt", "--class", NAMES[1])
    done = zoo("explain", model, "photos", "again/0.png", "missing.png", *options, "--json")
    assert done.code == 4
    assert "Skipped photos/broken.jpg: " in done.err
    assert "Skipped missing.png: no such file." in done.err
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [item["file"] for item in found] == [*scenes, "again/0.png"]
    assert [Path(item["picture"]).name for item in found[-2:]] == ["3.explained.png", "0-2.explained.png"]
    for item, made in zip(found, [*scenes.values(), scenes["photos/0.png"]], strict=True):
        assert (item["label"], item["method"], item["exact"]) == (NAMES[1], "class activation map", True)
        assert np.sum(item["evidence"]) + item["bias"] == pytest.approx(item["logit"], abs=1e-4)
        assert made.points_at((item["peak"]["x"], item["peak"]["y"]), "green")
        assert NAMES[1] in item["alt"]
        assert cv2.imread(str(tmp_path / item["picture"])) is not None
    assert sorted(path.name for path in (tmp_path / "photos").iterdir()) == [
        *(f"{n}.png" for n in range(4)),
        "broken.jpg",
    ]
    shown = zoo("explain", model, "photos/1.png", *options, "--out", "seen")
    assert shown.code == 0, shown.err
    assert shown.out.splitlines()[1].startswith("  The evidence is strongest ")
    assert shown.out.splitlines()[2] == "  seen/1.explained.png"
    assert "\x1b" not in shown.out + shown.err


def test_what_cannot_be_explained_is_said_before_the_first_photo(
    zoo: Zoo, exported: Path, digits_exports: Path, tmp_path: Path
) -> None:
    model, photo = save_network(tmp_path), tmp_path / "1.png"
    write_scene(photo, 1)
    no_class = zoo("explain", model, photo, "--labels", "classes.txt", "--class", NAMES[0] + "x")
    assert (no_class.code, f"Did you mean '{NAMES[0]}'?" in no_class.err) == (2, True)
    no_map = zoo("explain", exported / "plain" / "colours-onnx-float32", photo)
    assert no_map.code == 2
    assert "The file was exported without an evidence map." in no_map.err
    again = zoo("explain", digits_exports / "simple_cnn-tflite-float32" / "simple_cnn.tflite", photo)
    assert again.code == 2
    assert "--format tflite --precision float32 --with-map" in again.err
    (tmp_path / "taken").write_text("of the user")
    in_the_way = zoo("explain", model, photo, "--labels", "classes.txt", "--out", "taken")
    assert (in_the_way.code, "taken is a file" in in_the_way.err) == (2, True)
    assert not (tmp_path / "explained").exists()


def test_an_approximation_is_called_one(zoo: Zoo, tmp_path: Path) -> None:
    model = save_network(tmp_path, linear=False)
    made = write_scene(tmp_path / "1.png", 1)
    done = zoo("explain", model, "1.png", "--labels", "classes.txt", "--class", NAMES[0], "--json")
    assert "LayerCAM approximates the evidence" in done.err
    (item,) = [json.loads(line) for line in done.out.splitlines()]
    assert (item["method"], item["exact"], item["logit"]) == ("LayerCAM", False, None)
    assert made.points_at((item["peak"]["x"], item["peak"]["y"]), "red", slack_px=4)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_an_exported_map_is_verified_and_travels(zoo: Zoo, exported: Path, name: str, precision: str) -> None:
    bundle = exported / "mapped" / f"colours-{name}-{precision}"
    said = json.loads((bundle / "verify.json").read_text())["map"]
    assert said["images"] == 16 if precision == "int8" else 32
    assert said["lowest_similarity"] > 0.98
    if precision == "float32":
        assert said["max_difference"] < 1e-4
    assert "Evidence map: correlation" in (bundle / "README.md").read_text()
    assert json.loads((bundle / "spec.json").read_text())["map"]["name"] == "map"
    assert json.loads((bundle / "golden" / "golden.json").read_text())["arrays"]["map"] == "map.npy"
    keras, file = (explained(zoo, exported, model) for model in (exported / "colours.keras", bundle))
    assert keras["label"] == file["label"]
    strongest = np.abs(keras["evidence"]).max()
    difference = np.abs(np.array(keras["evidence"]) - np.array(file["evidence"])).max() / strongest
    assert difference < (1e-4 if precision == "float32" else 0.1)


def test_a_map_is_verified_again_and_a_wrong_one_is_refused(zoo: Zoo, exported: Path, tmp_path: Path) -> None:
    file = tmp_path / "colours.onnx"
    shutil.copy(exported / "mapped" / "colours-onnx-float32" / "colours.onnx", file)
    options = ("--against", exported / "colours.keras", "--labels", exported / "classes.txt", "--data")
    done = zoo("verify", file, *options, exported / "photos", "--json")
    assert (done.code, json.loads(done.out)["map"]["images"]) == (0, 32)
    model = onnx.load(file)
    (kernel,) = [value for value in model.graph.initializer if list(value.dims) == [2, 4, 1, 1]]
    kernel.CopyFrom(onnx.numpy_helper.from_array(1.01 * onnx.numpy_helper.to_array(kernel), kernel.name))
    onnx.save(model, file)
    done = zoo("verify", file, *options, exported / "photos")
    assert done.code == 6
    assert "A position of the map differs from that of Keras by 0.01 of the strongest evidence" in done.err


def explained(zoo: Zoo, exported: Path, model: Path) -> dict[str, object]:
    labels = ("--labels", exported / "classes.txt") if model.suffix == ".keras" else ()
    done = zoo("explain", model, exported / "photos" / NAMES[0] / "3.png", "--class", NAMES[0], "--json", *labels)
    assert done.code == 0, done.err
    found: dict[str, object] = json.loads(done.out)
    return found


def test_files_without_a_map_say_nothing_of_one(exported: Path) -> None:
    for name in ("onnx", "tflite"):
        bundle = exported / "plain" / f"colours-{name}-float32"
        assert "map" not in json.loads((bundle / "verify.json").read_text())
        assert "map" not in json.loads((bundle / "spec.json").read_text())
        assert not (bundle / "golden" / "map.npy").exists()


def test_the_runner_draws_and_checks_the_map_on_the_device(exported: Path, tmp_path: Path) -> None:
    import subprocess

    def run(bundle: Path, *arguments: str | Path) -> Result:
        command = runner_command(bundle, *arguments)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        return Result(done.returncode, done.stdout, done.stderr)

    bundle = Path(shutil.copytree(exported / "mapped" / "colours-onnx-int8", tmp_path / "bundle"))
    made = write_scene(tmp_path / "1.png", 1)
    tested = run(bundle, "--selftest")
    assert (tested.code, "ok    map: Identical." in tested.out) == (0, True), tested
    done = run(bundle, "--explain", "--json", "--class", NAMES[1], "1.png", "missing.png")
    assert done.code == 4
    item = json.loads(done.out)
    assert made.points_at((item["peak"]["x"], item["peak"]["y"]), "green", slack_px=4)
    assert item["picture"] == "explained/1.explained.png"
    assert NAMES[1].encode() in (tmp_path / item["picture"]).read_bytes()
    plain = run(exported / "plain" / "colours-onnx-float32", "--explain", "1.png")
    assert plain.code == 2
    assert "--with-map" in plain.err
    assert list(COLOURS) == ["red", "green"]


def test_an_exporter_or_a_model_without_maps_is_refused_before_the_work(zoo: Zoo, tmp_path: Path) -> None:
    model = save_network(tmp_path, linear=False)
    write_scene(tmp_path / "photos" / NAMES[0] / "1.png", 1)
    write_scene(tmp_path / "photos" / NAMES[1] / "2.png", 2)
    options = ("--labels", "classes.txt", "--data", "photos", "--format", "onnx", "--with-map", "--out", "out")
    done = zoo("export", model, *options)
    assert done.code == 5
    assert "cannot be exported with a map" in done.err
    assert not list((tmp_path / "out").glob("*/*")) if (tmp_path / "out").exists() else True
