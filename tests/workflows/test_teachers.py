"""``--teacher`` and ``--unlabelled``: what is refused before anything is trained, what is left out, and a whole run."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.conftest import PhotoFolder, Zoo
from tests.made_runs import begin_run
from zoo import DataError, ImageSpec, Recipe, TrainingError, UsageError
from zoo.atomic import write_csv, write_json
from zoo.data import ImageData, as_source, load_data
from zoo.reporter import Reporter
from zoo.run_folder import Run, open_run
from zoo.training.plan import Plan, refuse_other_plan
from zoo.workflows import api
from zoo.workflows.plan_file import read_plan, write_plan
from zoo.workflows.planning import TrainRequest, make_plan
from zoo.workflows.teachers import find_teachers
from zoo.workflows.teaching import prepare_teaching

SPEC = ImageSpec(height_px=64, width_px=64)
SETTINGS: dict[str, Any] = {"size": 24, "epochs": 2, "precision": "float32", "quiet": True}

MakeTeacher = Callable[..., Run]


class Listener(Reporter):
    def __init__(self) -> None:
        self.told: list[str] = []
        self.warned: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)

    def warning(self, text: str) -> None:
        self.warned.append(text)


@pytest.fixture
def data(photo_folder: PhotoFolder) -> ImageData:
    return load_data(
        str(photo_folder({"train/a": 8, "train/b": 8, "val/a": 2, "val/b": 2, "test/a": 3, "test/b": 3})), SPEC
    )


@pytest.fixture
def teacher(tmp_path: Path) -> MakeTeacher:
    """A finished run folder whose model was trained on the given photos."""

    def make(
        rows: Sequence[tuple[str, str, str, str]] = (),
        name: str = "teacher",
        root: str = "",
        labels: Sequence[str] = "ab",
        **values: Any,
    ) -> Run:
        run = begin_run(tmp_path / "runs", name, labels=list(labels), data={"root": root}, **values)
        run.model_path.write_bytes(name.encode())
        write_csv(run.path / "split.csv", ("path", "label", "split", "sha256"), rows)
        write_json(run.path / "metrics.json", {"n": 50, "accuracy": 0.9, "accuracy_interval": [0.8, 0.95]})
        return run

    return make


def prepare(run: Run, data: ImageData, unlabelled: Path | None = None) -> tuple[Any, Listener]:
    listener = Listener()
    teaching = prepare_teaching([run.path], unlabelled, data, listener)
    return teaching, listener


def test_a_teacher_of_other_labels_is_refused_and_of_another_order_is_not(
    data: ImageData, teacher: MakeTeacher
) -> None:
    with pytest.raises(UsageError, match=r"lacks 'b' and also has 'c', 'd'"):
        prepare(teacher(name="other", labels="acd"), data)
    teaching, _ = prepare(teacher(labels="ba"), data)
    assert teaching.info.teachers[0].accuracy == 0.9


def test_a_teacher_that_saw_test_photos_is_refused_by_name(data: ImageData, teacher: MakeTeacher) -> None:
    test = data.indices("test").tolist()
    rows = data.rows()
    for split in ("train", "val"):
        seen = [(path, label, split, sha256) for path, label, _, sha256 in (rows[test[0]], rows[test[4]])]
        with pytest.raises(DataError, match="was trained on 2 test image") as caught:
            prepare(teacher(seen, name=split), data)
        assert data.names[test[0]] in str(caught.value)
    prepare(teacher(rows, name="same-split"), data)
    prepare(teacher([rows[test[0]]], name="tested-on-it"), data)


def test_what_a_teacher_learned_from_its_own_teachers_counts(data: ImageData, teacher: MakeTeacher) -> None:
    run = teacher()
    write_csv(run.path / "seen.csv", ("sha256",), [(data.contents[data.indices("test")[1]],)])
    with pytest.raises(DataError, match="was trained on 1 test image"):
        prepare(run, data)


def test_a_teacher_that_saw_a_copy_of_a_test_photo_is_refused(
    data: ImageData, teacher: MakeTeacher, tmp_path: Path
) -> None:
    name = data.names[data.indices("test")[0]]
    save_copy(data.root / name, tmp_path / "elsewhere" / "copy.png")
    rows = [("copy.png", "a", "train", sha256_of(tmp_path / "elsewhere" / "copy.png"))]
    with pytest.raises(DataError, match="near-duplicates of 1 test image") as caught:
        prepare(teacher(rows, root=str(tmp_path / "elsewhere")), data)
    assert name in str(caught.value)


def test_photos_of_a_teacher_that_could_not_be_compared_are_counted_and_warned_of(
    data: ImageData, teacher: MakeTeacher, photo_folder: PhotoFolder
) -> None:
    folder = photo_folder({"x": 3}, "elsewhere")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))
    rows = [(name, "a", "train", sha256_of(folder / name)) for name in names]
    teaching, listener = prepare(teacher(rows, root=str(folder)), data)
    assert teaching.info.teachers[0].uncompared == 0
    assert not listener.warned
    (folder / names[0]).unlink()
    (folder / names[1]).write_bytes((folder / names[2]).read_bytes())
    teaching, listener = prepare(teacher(rows, "partly", root=str(folder)), data)
    assert teaching.info.teachers[0].uncompared == 2
    assert (
        "trained on 3 photos that are not in this data, and 2 of them are missing or have changed" in listener.warned[0]
    )
    small = load_data(data.source, ImageSpec(height_px=32, width_px=32))
    teaching, listener = prepare(teacher(rows, "small", root=str(folder)), small)
    assert teaching.info.teachers[0].uncompared == 3
    assert any("Near-duplicates of test images were not searched" in text for text in listener.warned)
    assert not listener.told


def test_photos_without_labels_that_taught_a_teacher_or_its_teachers_are_compared(
    data: ImageData, teacher: MakeTeacher, tmp_path: Path
) -> None:
    name = data.names[data.indices("test")[0]]
    more = tmp_path / "more"
    save_copy(data.root / name, more / "any" / "copy.png")
    sha256 = sha256_of(more / "any" / "copy.png")
    top = {"run": str(tmp_path / "runs" / "gone"), "architecture": "simple_cnn", "digest": "", "accuracy": 0.9, "n": 5}
    taught = {"teachers": [top], "unlabelled": {"source": str(more), "used": 1}}
    run = teacher(taught=taught)
    write_csv(run.path / "unlabelled.csv", ("path", "sha256", "use"), [("any/copy.png", sha256, "trained")])
    student = teacher(name="student", taught={"teachers": [{**top, "run": str(run.path)}]})
    for each in (run, student):
        write_csv(each.path / "seen.csv", ("sha256",), [(sha256,)])
        with pytest.raises(DataError, match="near-duplicates of 1 test image") as caught:
            prepare(each, data)
        assert name in str(caught.value)
    (more / "any" / "copy.png").unlink()
    teaching, listener = prepare(student, data)
    assert teaching.info.teachers[0].uncompared == 1
    assert (
        "trained on 1 photos that are not in this data, and 1 of them are missing or have changed" in listener.warned[0]
    )


def test_validation_photos_that_trained_a_teacher_are_counted_and_said(data: ImageData, teacher: MakeTeacher) -> None:
    head = {"method": "ridge", "features": "last features", "strength": 0.1}
    recipe = Recipe(head="chosen", epochs=8).as_dict()
    tuned = teacher(data.rows(), "tuned", recipe=recipe, head=head, best_epoch=3)
    for run in (teacher(data.rows()), tuned):
        teaching, listener = prepare(run, data)
        assert teaching.info.teachers[0].validation == 0
        assert not listener.told
    refitted = teacher(data.rows(), "refitted", recipe=recipe, head=head, best_epoch=0)
    other = [(path, label, "train" if split == "val" else split, sha256) for path, label, split, sha256 in data.rows()]
    taught = teacher([row for row in data.rows() if row[2] != "val"], "taught")
    write_csv(taught.path / "seen.csv", ("sha256",), [(data.contents[place],) for place in data.indices("val")])
    for run in (refitted, teacher(other, "other"), taught):
        teaching, listener = prepare(run, data)
        assert teaching.info.teachers[0].validation == 4
        assert "was trained on 4 of the 4 validation images" in listener.told[0]


def test_the_report_claims_of_teachers_only_what_was_compared() -> None:
    from types import SimpleNamespace

    from zoo.report.page import environment
    from zoo.run_folder.taught import TaughtInfo, TeacherInfo

    def page(**values: int) -> str:
        info = TeacherInfo(run="runs/balls", architecture="simple_cnn", digest="", accuracy=0.9, n=5, **values)
        run = SimpleNamespace(info=SimpleNamespace(taught=TaughtInfo(teachers=(info,))), recipe=Recipe(teacher_share=1))
        template = environment().get_template("report/teachers.html.jinja")
        return " ".join(template.render(run=run, info=run.info).split())

    assert "No teacher was trained on the test images." in page()
    assert "6 photos that could not be compared completely" in page(uncompared=6)
    assert "No teacher was trained on the test images." not in page(uncompared=6)
    assert "4 validation images" in page(validation=4)


def save_copy(photo: Path, target: Path, mirrored: bool = False) -> None:
    """Saves another file with the same picture."""
    image = cv2.imread(str(photo))
    assert image is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(target), cv2.flip(image, 1) if mirrored else image)


def sha256_of(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("pairs", [4_000_000, 30])
def test_photos_without_labels_that_show_measured_photos_are_left_out_and_counted(
    pairs: int, data: ImageData, teacher: MakeTeacher, photo_folder: PhotoFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.audit.leakage._PAIRS_WITH_CROPS", pairs)  # more pairs are compared in parts
    folder = photo_folder({"x/deep/new": 3, "new": 2}, "unlabelled")
    names = {
        split: [data.root / data.names[index] for index in data.indices(split)] for split in ("train", "val", "test")
    }
    shutil.copy(names["test"][0], folder / "same.jpg")
    save_copy(names["test"][1], folder / "class" / "near.png")
    save_copy(names["val"][0], folder / "mirrored.png", mirrored=True)
    shutil.copy(names["train"][0], folder / "trained.jpg")
    shutil.copy(folder / "new" / "photo_000.jpg", folder / "twice.jpg")
    (folder / "notes.txt").write_text("no photo")
    teaching, listener = prepare(teacher(data.rows()), data, folder)
    found = teaching.info.unlabelled
    assert not found.unsearched
    told = " ".join(listener.told)
    assert (found.used, found.near_duplicates, found.labelled, found.repeated, found.skipped) == (5, 3, 1, 1, 1)
    assert "5 photo(s) without labels" in told
    assert "near-duplicates of test or validation images: 3" in told
    uses = {path: use for path, _, use in teaching.rows}
    assert "test image" in uses["class/near.png"]
    assert uses["x/deep/new/photo_000.jpg"] == "trained"
    images = teaching.images
    assert len(images.training) == len(data.indices("train")) + 5
    for split in ("train", "val", "test"):
        assert images.indices(split).tolist() == data.indices(split).tolist()
    assert set(teaching.seen) == {sha256 for _, sha256, use in teaching.rows if use == "trained"}


def test_a_student_of_arrays_is_taught_as_well(teacher: MakeTeacher, photo_folder: PhotoFolder) -> None:
    images = np.random.default_rng(0).integers(0, 256, (32, 64, 64, 3), np.uint8)
    data = load_data(as_source((images, ["a", "b"] * 16)), SPEC)
    teaching, _ = prepare(teacher(data.rows()), data, photo_folder({"x": 3}, "unlabelled"))
    other = ImageSpec(height_px=40, width_px=30)
    seen = teaching.images.at(teaching.images.training).seen_as(other)
    assert seen.pixels.shape == other.input_shape
    assert seen.splits.count("unlabelled") == 3
    assert not set(seen.contents) & {data.contents[index] for index in data.indices("test")}


def test_the_command_takes_teachers(zoo: Zoo, tmp_path: Path) -> None:
    said = zoo("train", "simple_cnn", "--teacher", "nobody")
    assert said.code == 2
    assert "No run at 'nobody'" in said.err
    alone = zoo("train", "simple_cnn", "--unlabelled", tmp_path)
    assert alone.code == 2
    assert "needs a teacher" in alone.err


def test_photos_too_small_to_compare_are_said(photo_folder: PhotoFolder, teacher: MakeTeacher) -> None:
    data = load_data(str(photo_folder({"a": 8, "b": 8})), ImageSpec(height_px=32, width_px=32))
    teaching, listener = prepare(teacher(), data, photo_folder({"new": 3}, "unlabelled"))
    assert "test and validation images were not searched" in listener.warned[0]
    assert "use --size 64 or more" in listener.warned[0]
    assert "zoo data check" not in listener.warned[0]
    assert teaching.info.unlabelled.unsearched


def test_a_folder_of_photos_without_labels_that_cannot_be_used_is_named(
    data: ImageData, teacher: MakeTeacher, tmp_path: Path
) -> None:
    run = teacher()
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("no photo")
    (tmp_path / "file.jpg").write_bytes(b"")
    cases = [
        ("gone", UsageError, "no folder"),
        ("file.jpg", UsageError, "not a folder"),
        ("empty", DataError, "contains no file"),
        ("texts", DataError, r"no usable image, for example 'a\.txt'"),
    ]
    for name, kind, said in cases:
        with pytest.raises(kind, match=said):
            prepare(run, data, tmp_path / name)


def test_what_is_no_finished_run_is_refused(teacher: MakeTeacher, tmp_path: Path) -> None:
    run = teacher()
    root = tmp_path / "runs"
    assert find_teachers([Path("teacher")], root) == find_teachers([run.model_path], root) == (run.path,)
    unfinished = begin_run(root, "unfinished")
    bundle = run.path / "exports" / "tflite-int8"
    bundle.mkdir(parents=True)
    (bundle / "spec.json").write_text("{}")
    (bundle / "net.tflite").write_bytes(b"")
    (tmp_path / "lone.keras").write_bytes(b"")
    cases: list[tuple[list[Path], str]] = [
        ([unfinished.path], "is not finished"),
        ([Path("teacher"), run.path], "named twice"),
        ([bundle], rf"is a bundle[\s\S]*--teacher {run.path}"),
        ([bundle / "net.tflite"], rf"is a model file[\s\S]*--teacher {run.path}"),
        ([tmp_path / "lone.keras"], "Give the run it was exported from"),
        ([Path("nobody")], "No run at 'nobody'"),
    ]
    for named, said in cases:
        with pytest.raises(UsageError, match=said):
            find_teachers(named, root)


def test_a_head_that_would_be_chosen_trains_by_epochs(teacher: MakeTeacher) -> None:
    request = TrainRequest(architecture="mobilenetv2", teachers=(teacher().path,))
    plan = make_plan(request, None)
    assert (plan.recipe.head, plan.recipe.head_epochs) == ("trained", 60)
    assert plan.recipe.head_views == plan.recipe.teacher_views > 1
    assert not plan.recipe.ranges.changes_nothing
    assert any("With teachers, the head is trained for" in note for note in plan.notes)
    assert any("A chosen head without a teacher may be more accurate" in note for note in plan.notes)
    with pytest.raises(UsageError, match="cannot learn from teachers"):
        make_plan(TrainRequest(**{**vars(request), "settings": {"head": "chosen"}}), None)
    views = {"head_epochs": 9, "head_views": 4, "teacher_views": 2}
    with pytest.raises(UsageError, match="are 4 and 2"):
        make_plan(TrainRequest(**{**vars(request), "settings": views}), None)
    assert make_plan(TrainRequest(**{**vars(request), "settings": {"flip": "none"}}), None).recipe.ranges.flip == "none"
    two = make_plan(TrainRequest(**{**vars(request), "settings": {"teacher_views": 2}}), None).recipe
    assert (two.head_views, two.ranges.changes_nothing) == (2, False)
    plain = {"head_epochs": 9, "augmentation": "none"}
    assert make_plan(TrainRequest(**{**vars(request), "settings": plain}), None).recipe.teacher_views == 1


def test_a_plan_file_sets_views_and_augmentation_as_options_do(teacher: MakeTeacher, tmp_path: Path) -> None:
    run = teacher()

    def planned(architecture: str, recipe: str, **settings: Any) -> Recipe:
        file = tmp_path / "zoo.yaml"
        file.write_text(f"architecture: {architecture}\nrecipe: {{{recipe}}}\nteachers: [{run.path}]\n")
        return make_plan(read_plan(file, TrainRequest(settings=settings)), None).recipe

    four = planned("mobilenetv2", "head_epochs: 60, head_views: 4")
    assert (four.head_views, four.teacher_views) == (4, 4)
    for architecture in ("simple_cnn", "mobilenetv2"):
        plain = planned(architecture, "epochs: 3, augmentation: none")
        assert plain.ranges.changes_nothing
        assert plain.teacher_views == 1
    one = planned("mobilenetv2", "head_epochs: 60, head_views: 8, teacher_views: 8, rotation_degrees: 9", head_views=4)
    assert (one.head_views, one.teacher_views) == (4, 4)
    none = planned("mobilenetv2", "head_epochs: 60, head_views: 8, teacher_views: 8, shift: 0.1", augmentation="none")
    assert (none.head_views, none.teacher_views, none.ranges.changes_nothing) == (1, 1, True)
    with pytest.raises(UsageError, match="are 4 and 2"):
        planned("mobilenetv2", "head_epochs: 60, head_views: 4, teacher_views: 2")


def test_a_repeated_student_takes_the_views_that_were_given(teacher: MakeTeacher) -> None:
    request = TrainRequest(architecture="mobilenetv2", teachers=(teacher().path,))
    plan = make_plan(request, None)
    run = started(plan)

    def again(**settings: Any) -> Recipe:
        return make_plan(TrainRequest(settings=settings), run).recipe

    assert again() == plan.recipe
    assert (plan.recipe.head_views, plan.recipe.teacher_views) == (8, 8)
    for settings in ({"head_views": 4}, {"teacher_views": 4}):
        assert (again(**settings).head_views, again(**settings).teacher_views) == (4, 4)
    none = again(augmentation="none")
    assert (none.head_views, none.teacher_views, none.ranges.changes_nothing) == (1, 1, True)
    with pytest.raises(UsageError, match="are 4 and 2"):
        again(head_views=4, teacher_views=2)


def started(plan: Plan) -> Run:
    """A run with teachers, as recorded before the training."""
    teachers = [
        {"run": str(path), "architecture": "simple_cnn", "digest": "", "accuracy": 0.9, "n": 5}
        for path in plan.teachers
    ]
    root = plan.teachers[0].parent
    values = {"recipe": plan.recipe.as_dict(), "weights": plan.weights, "image": plan.image.as_dict()}
    return begin_run(root, "begun", plan.architecture.name, taught={"teachers": teachers}, **values)


def test_a_student_with_a_recipe_file_is_resumed_with_it(teacher: MakeTeacher, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("head_epochs: 9\nhead_views: 4\n")
    request = TrainRequest(architecture="mobilenetv2", recipe=str(file), teachers=(teacher().path,))
    run = started(make_plan(request, None))
    refuse_other_plan(run, {"recipe": str(file)})
    file.write_text("head_epochs: 9\nhead_views: 2\n")
    with pytest.raises(UsageError, match="head_views: 4 in the run, 2 requested"):
        refuse_other_plan(run, {"recipe": str(file)})


def test_what_teaches_nothing_is_refused(teacher: MakeTeacher, tmp_path: Path) -> None:
    for asked, said in (
        ({"unlabelled": tmp_path}, "needs a teacher"),
        ({"settings": {"teacher_share": 0.5}}, "the run has no teacher"),
        ({"settings": {"teacher_views": 4}}, "the run has no teacher"),
        ({"settings": {"teacher_share": 0.0}, "teachers": (teacher().path,)}, "'teacher_share' is 0"),
    ):
        with pytest.raises(UsageError, match=said):
            make_plan(TrainRequest(architecture="simple_cnn", **asked), None)  # type: ignore[arg-type]


def test_zoo_yaml_and_the_command_name_the_teachers(teacher: MakeTeacher, tmp_path: Path) -> None:
    teachers = (teacher().path, teacher(name="second").path)
    request = TrainRequest(architecture="simple_cnn", teachers=teachers, unlabelled=tmp_path / "more")
    assert request.command().endswith(
        f"--teacher {teachers[0]} --teacher {teachers[1]} --unlabelled {tmp_path / 'more'}"
    )
    plan = make_plan(request, None)
    write_plan(tmp_path, plan, tensorboard=False)
    again = make_plan(read_plan(tmp_path / "zoo.yaml", TrainRequest()), None)
    assert vars(again) == vars(plan)
    (tmp_path / "short.yaml").write_text("teachers: [runs/teacher]\nunlabelled: more\n")
    short = read_plan(tmp_path / "short.yaml", TrainRequest())
    assert (short.teachers, short.unlabelled) == (teachers[:1], tmp_path / "more")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos and a run that taught another run with another image rule. Tests must not change it."""
    folder = tmp_path_factory.mktemp("taught")
    random = np.random.default_rng(0)
    for place, count in {"photos/a": 16, "photos/b": 16, "more/any": 6}.items():
        (folder / place).mkdir(parents=True)
        for number in range(count):
            image = random.integers(0, 255, (9, 9, 3), np.uint8)
            image[..., 0 if place.endswith("a") else 2] //= 4
            cv2.imwrite(str(folder / place / f"{number}.png"), cv2.resize(image, (72, 72)))
    common = {**SETTINGS, "data": str(folder / "photos"), "runs": folder / "runs"}
    master = api.train("simple_cnn", name="teacher", **{**common, "size": 16, "resize": "crop"})
    api.train("simple_cnn", name="student", teachers=[master], unlabelled=folder / "more", **common)
    return folder


def test_a_taught_run_is_a_plain_run_that_says_who_taught_it(taught: Path) -> None:
    run = open_run(taught / "runs" / "student")
    assert run.info.taught is not None
    (teacher,) = run.info.taught.teachers
    assert teacher.run == str(taught / "runs" / "teacher")
    assert teacher.digest == sha256_of(taught / "runs" / "teacher" / "model.keras")
    assert run.info.taught.unlabelled is not None
    assert run.info.taught.unlabelled.used == 6
    assert run.recipe.teacher_views == 8
    assert f"--teacher {teacher.run} --unlabelled" in run.info.command
    assert {row["split"] for row in run.split()} == {"train", "val", "test"}
    assert sum(row["use"] == "trained" for row in run.unlabelled()) == 6
    assert len(run.learned_from() - {row["sha256"] for row in run.split()}) == 6
    page = (run.path / "report.html").read_text()
    assert "6 photo(s) without labels" in page
    assert "<h2>Teachers</h2>" in page
    assert "70\xa0% is what this run predicts" in page
    assert api.load(run.path).predict(next((taught / "photos" / "a").iterdir())).label in ("a", "b")


def test_an_interrupted_student_resumes_to_the_same_and_refuses_another_teacher(taught: Path, tmp_path: Path) -> None:
    import keras

    class Stop(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    shutil.copytree(taught / "runs" / "teacher", tmp_path / "teacher")
    shutil.copytree(taught / "more", tmp_path / "more")
    arguments = {**SETTINGS, "data": str(taught / "photos"), "runs": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        api.train(
            "simple_cnn",
            name="cut",
            teachers=tmp_path / "teacher",
            unlabelled=tmp_path / "more",
            callbacks=[Stop()],
            **arguments,
        )
    cut = tmp_path / "cut"
    model = tmp_path / "teacher" / "model.keras"
    weights = model.read_bytes()
    model.write_bytes(weights + b"\0")
    with pytest.raises(TrainingError, match=r"its model\.keras is different"):
        api.train(resume=cut, quiet=True)
    model.unlink()
    with pytest.raises(TrainingError, match="does not exist any more"):
        api.train(resume=cut, quiet=True)
    model.write_bytes(weights)
    with pytest.raises(UsageError, match=r"teachers: .*student"):
        api.train(resume=cut, teachers=taught / "runs" / "student", quiet=True)
    with pytest.raises(UsageError, match="not finished"):
        api.train(resume=cut, teachers=cut, quiet=True)
    (tmp_path / "more" / "any" / "0.png").rename(tmp_path / "0.png")
    with pytest.raises(TrainingError, match=r"1 are new, missing or different, for example 'any/0\.png'"):
        api.train(resume=cut, quiet=True)
    (tmp_path / "0.png").rename(tmp_path / "more" / "any" / "0.png")
    api.train(resume=cut, teachers=tmp_path / "teacher", quiet=True)
    whole = taught / "runs" / "student"
    assert (cut / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()


def test_zoo_show_names_the_teachers(taught: Path) -> None:
    from zoo.workflows.show import ShowRequest, show

    facts = show(ShowRequest(name=str(taught / "runs" / "student")), Listener()).facts
    ((path, said),) = facts["taught by"].items()
    assert path.endswith("teacher")
    assert "accuracy" in said
    assert json.dumps(facts)


def test_evaluation_says_which_photos_taught_the_model(taught: Path) -> None:
    from zoo.data import load_for_evaluation
    from zoo.evaluation.trained import of_run
    from zoo.workflows.notes import tell_overlap

    trained = of_run(open_run(taught / "runs" / "student"))
    rows = [(f"any/{number}.png", "a") for number in range(6)]
    listed = taught / "more" / "list.csv"
    with listed.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    listener = Listener()
    tell_overlap(trained, load_for_evaluation(str(listed), trained.image, trained.labels), "test", listener)
    listed.unlink()
    assert "6 of 6 images were used to train or choose this model" in listener.told[0]
