"""A head that is chosen by cross-validation, from the regressions to a complete run."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import PhotoFolder, RunZoo, draw_photo, hash_of, interrupt, zoo_environment
from zoo.evaluation import Predictions
from zoo.run_folder import open_run
from zoo.training.checkpoint import Progress
from zoo.training.harness import Harness
from zoo.training.heads import choose
from zoo.training.heads.choose import ChosenHead, choose_head
from zoo.training.heads.features import Balance, Features
from zoo.training.heads.folds import divide_into_folds, group_lookalikes
from zoo.training.heads.linear import Scaling, Spectrum, fit_ridge, logistic_regressions
from zoo.training.heads.sureness import brier_score, fit_factor, probabilities_of

WIDTHS = [3, 4, 2, 6, 5]  # four depths and the last features


def drawn(count: int, signal_in: slice | None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Features of three classes that differ only in some of the columns."""
    means = np.random.default_rng(9).normal(0, 1.5, (3, sum(WIDTHS)))
    random = np.random.default_rng(seed)
    classes = np.arange(count) % 3
    features = random.normal(1, 1, (count, sum(WIDTHS))).astype(np.float32)
    if signal_in is not None:
        features[:, signal_in] += means[classes][:, signal_in].astype(np.float32)
    return features, classes


def chosen_of(features: np.ndarray, classes: np.ndarray, **options: bool) -> ChosenHead:  # type: ignore[type-arg]
    images = np.arange(len(classes))
    about = Features.of(lambda wanted: features[wanted], WIDTHS)
    return choose_head(about, images, classes, 3, balanced=options.get("balanced", True), seed=0)


def test_ridge_on_the_gram_matrix_in_passes_and_of_scikit_learn_are_the_same() -> None:
    from sklearn.linear_model import Ridge

    features, classes = drawn(40, slice(0, 5))
    weights = np.where(classes == 0, 0.5, 1.25)
    weights /= weights.mean()
    targets = np.eye(3)[classes]
    importance = np.full(features.shape[1], 1 / features.shape[1])
    scaling = Scaling.of(features.astype(np.float64), weights, importance)
    scaled = scaling(features)
    mean = weights @ targets / weights.sum()
    (coefficients,) = Spectrum(scaled @ scaled.T, weights).ridge(targets - mean, (0.01,))
    expected = Ridge(0.01 * 40).fit(scaled, targets, sample_weight=weights).predict(scaled)
    in_passes = fit_ridge(lambda wanted: features[wanted], np.arange(40), scaling, targets, weights, 0.01)
    assert np.allclose(scaled @ scaled.T @ coefficients + mean, expected, atol=1e-9)
    assert np.allclose(in_passes.scores(features), expected, atol=1e-6)


def test_scaling_in_passes_is_that_of_all_at_once_and_drops_what_is_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.training.heads.linear._READ", 7)
    features, _ = drawn(40, None)
    features[:, 2] = 5.0
    weights, importance = np.linspace(0.5, 1.5, 40), np.linspace(1, 2, features.shape[1])
    whole = Scaling.of(features.astype(np.float64), weights, importance)
    passes = Scaling.of_many(lambda wanted: features[wanted], np.arange(40), weights, importance)
    assert np.allclose(whole.mean, passes.mean)
    assert np.allclose(whole.scale, passes.scale, rtol=1e-5)
    assert whole.scale[2] == 0
    assert np.allclose(weights @ np.square(whole(features)) / weights.sum(), np.where(whole.scale > 0, importance, 0))


@pytest.mark.parametrize("count", [2, 3])
def test_logistic_regression_on_the_basis_of_the_gram_matrix_loses_nothing(count: int) -> None:
    features, classes = drawn(30, slice(0, 4))
    classes = classes % count
    scaled = Scaling.of(features.astype(np.float64), np.ones(30), np.ones(features.shape[1]))(features)
    basis = Spectrum(scaled @ scaled.T, np.ones(30)).basis(most=100)
    inside = scaled @ scaled.T @ basis
    assert np.allclose(inside @ inside.T, scaled @ scaled.T, atol=1e-8)
    (plain,) = logistic_regressions(scaled, classes, np.ones(30), (0.01,))
    (reduced,) = logistic_regressions(inside, classes, np.ones(30), (0.01,))
    assert plain.kernel.shape == (20, count)
    assert np.allclose(
        probabilities_of(plain.scores(scaled), 1), probabilities_of(reduced.scores(inside), 1), atol=2e-3
    )


def test_the_factor_is_found_again_and_stays_finite_where_all_are_right() -> None:
    random = np.random.default_rng(1)
    scores = random.normal(0, 1, (4000, 3))
    drawn_classes = np.array([random.choice(3, p=row) for row in probabilities_of(scores, 2.5)])
    assert fit_factor(scores, drawn_classes) == pytest.approx(2.5, rel=0.1)
    sure = probabilities_of(np.eye(3)[np.arange(30) % 3], fit_factor(np.eye(3)[np.arange(30) % 3], np.arange(30) % 3))
    assert sure.max() == pytest.approx(11 / 12, abs=1e-3)  # Platt: 10 correct of a class, (10 + 1) / (10 + 2)


def test_the_brier_score_is_the_mean_squared_error_of_the_probabilities() -> None:
    probabilities, classes = np.array([[1.0, 0.0], [0.25, 0.75]]), np.array([0, 0])
    assert brier_score(probabilities, classes, np.ones(2)) == pytest.approx((0 + 0.75**2 + 0.75**2) / 2)
    assert brier_score(probabilities, classes, np.array([2.0, 0.0])) == 0


def test_lookalikes_of_a_class_share_a_fold_and_every_fold_has_every_class() -> None:
    random = np.random.default_rng(2)
    features = random.normal(0, 1, (60, 16))
    features[10:14] = features[10] + random.normal(0, 0.01, (4, 16))
    classes = np.repeat([0, 1, 2], [10, 20, 30])
    features[59] = features[11]  # in another class, so these two are not held out together
    groups = group_lookalikes(features, classes)
    assert len(set(groups[10:14])) == 1
    assert groups[59] != groups[10]
    for seed in range(5):
        folds = divide_into_folds(classes, groups, 5, seed)
        assert len(set(folds[10:14])) == 1
        for label in range(3):
            counts = np.bincount(folds[classes == label], minlength=5)
            assert counts.min() >= 1
            assert counts.max() - counts.min() <= 3


@pytest.mark.parametrize(
    ("signal_in", "expected"), [(slice(15, 20), "last features"), (slice(0, 7), "all depths"), (slice(7, 15), "later")]
)
def test_the_features_that_tell_the_classes_apart_are_chosen(signal_in: slice, expected: str) -> None:
    features, classes = drawn(150, signal_in)
    chosen = chosen_of(features, classes)
    assert expected in chosen.info.features
    assert chosen.info.accuracy is not None
    assert chosen.info.accuracy > 0.9
    fresh, true = drawn(300, signal_in, seed=1)
    assert (chosen.head.scores(fresh).argmax(1) == true).mean() > 0.9
    assert chosen.used[20 - 5 :].all()
    assert chosen.used[:7].any() == (expected == "all depths")


def test_the_figures_of_a_logistic_regression_are_those_of_the_first_repetition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("zoo.training.heads.trial.RIDGE_STRENGTHS", (1e4,))  # its probabilities are nearly equal
    features, classes = drawn(150, slice(0, 7))
    chosen = chosen_of(features, classes)
    assert (chosen.info.method, chosen.info.repetitions, chosen.info.averaged) == ("logistic", 4, 1)
    right = chosen.probabilities.argmax(1) == classes[chosen.positions]
    assert chosen.info.accuracy == pytest.approx(right.mean())


def test_the_estimate_on_noise_is_chance_and_its_probabilities_know_it() -> None:
    chosen = chosen_of(*drawn(150, None))
    assert chosen.info.accuracy is not None
    assert abs(chosen.info.accuracy - 1 / 3) < 0.12
    assert chosen.probabilities.max() < 0.6


def test_balanced_weights_raise_the_recall_of_a_rare_class() -> None:
    random = np.random.default_rng(3)
    classes = np.repeat([0, 1, 2], [120, 60, 15])
    features = random.normal(0, 1, (195, 20)).astype(np.float32)
    features[np.arange(195), classes] += 1.5
    recalls = [
        (chosen_of(features, classes, balanced=balanced).head.scores(features).argmax(1)[-15:] == 2).mean()
        for balanced in (False, True)
    ]
    assert recalls[1] > recalls[0]


def test_one_image_a_class_gets_a_head_and_no_estimate() -> None:
    features, classes = drawn(3, slice(0, 20))
    chosen = chosen_of(features, classes)
    assert (chosen.info.images, chosen.info.accuracy, len(chosen.positions)) == (0, None, 0)
    assert chosen.head.scores(features).argmax(1).tolist() == [0, 1, 2]


def test_of_many_images_a_class_of_one_gets_the_default_ridge_head(monkeypatch: pytest.MonkeyPatch) -> None:
    features, classes = drawn(3, slice(0, 20))
    monkeypatch.setattr(choose, "_MOST_HELD", 0)
    chosen = chosen_of(features, classes)
    assert chosen.info.method == "ridge"
    scores = chosen.head.scores(features)
    assert scores.argmax(1).tolist() == [0, 1, 2]
    assert probabilities_of(scores, 1).max(1) == pytest.approx(2 / 3, abs=0.02)  # Platt: 1 image, (1 + 1) / (1 + 2)


@pytest.mark.parametrize("most_held", [0, 40_000_000])
def test_a_class_of_one_image_costs_the_others_neither_choice_nor_calibration(
    most_held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "_MOST_HELD", most_held)
    features, classes = drawn(152, slice(0, 7))
    kept = np.concatenate([np.flatnonzero(classes < 2), np.flatnonzero(classes == 2)[:1]])
    features, classes = features[kept], classes[kept]
    chosen = chosen_of(features, classes)
    assert chosen.info.folds == 5
    assert chosen.info.images == len(chosen.positions) == len(kept) - 1
    assert set(classes[chosen.positions]) == {0, 1}
    assert chosen.info.features == "all depths"
    assert chosen.probabilities.shape == (len(kept) - 1, 3)
    predicted = probabilities_of(chosen.head.scores(features), 1)
    assert predicted.argmax(1)[-1] == 2
    assert predicted.max(1).mean() > 0.8


def test_a_class_of_two_images_leaves_five_folds_and_is_judged() -> None:
    features, classes = drawn(150, slice(0, 7))
    kept = np.concatenate([np.flatnonzero(classes < 2), np.flatnonzero(classes == 2)[:2]])
    chosen = chosen_of(features[kept], classes[kept])
    assert chosen.info.folds == 5
    assert chosen.info.images == len(kept)


def test_where_few_classes_have_two_images_the_default_head_is_trained() -> None:
    features, classes = drawn(150, slice(0, 7))
    kept = np.concatenate([np.flatnonzero(classes == 0), [1, 2]])
    assert chosen_of(features[kept], classes[kept]).info.tried == ()


def test_of_many_images_some_choose_and_all_train(monkeypatch: pytest.MonkeyPatch) -> None:
    features, classes = drawn(150, slice(0, 7))
    monkeypatch.setattr(choose, "MOST_CHOOSING", 60)
    monkeypatch.setattr(choose, "_MOST_HELD", 0)
    read: list[int] = []
    about = Features.of(lambda wanted: (read.extend(wanted), features[wanted])[1], WIDTHS)  # type: ignore[func-returns-value]
    chosen = choose_head(about, np.arange(150), classes, 3, balanced=True, seed=0)
    assert chosen.info.images == len(chosen.positions) == 60
    assert {each.method for each in chosen.info.tried} == {chosen.info.method} == {"ridge"}
    assert set(read) == set(range(150))
    assert np.bincount(classes[chosen.positions]).tolist() == [20, 20, 20]
    growth = chosen.info.growth
    assert growth is not None
    (_, half), (_, whole) = growth.curve[1:]
    factor = (1 - whole) / (1 - half)
    assert growth.gain == pytest.approx(max(0, (1 - whole) * factor ** np.log2(150 / 60) * (1 - factor)))


def tiny(depths: tuple[str, ...]):  # type: ignore[no-untyped-def]
    from tests.tiny_net import build, load

    model = build((32, 32, 3), 3)
    load(model, False)
    return model


@pytest.mark.parametrize("used", [(), ("relu_1",), ("relu_1", "relu_2")])
def test_a_head_in_the_model_gives_what_it_gives_on_features(used: tuple[str, ...]) -> None:
    from zoo.training.heads.attach import depth_features, depth_widths, with_head
    from zoo.training.heads.linear import LinearHead

    depths = ("relu_1", "relu_2")
    model = tiny(depths)
    assert depth_widths(model, depths, "features") == [8, 16, 16]
    pixels = np.random.default_rng(4).integers(0, 256, (5, 32, 32, 3)).astype(np.float32)
    features = depth_features(model, depths, "features").predict(pixels, verbose=0)
    random = np.random.default_rng(5)
    uses = np.repeat([name in (*used, "features") for name in (*depths, "features")], [8, 16, 16])
    head = LinearHead(random.normal(0, 1, (40, 3)) * uses[:, None], random.normal(0, 1, 3))
    whole = with_head(model, depths, "features", head, uses)
    assert np.allclose(whole.predict(pixels, verbose=0), probabilities_of(head.scores(features), 1), atol=1e-5)
    assert whole.output_names == ["probabilities"]
    names = {layer.name for layer in whole.layers}
    assert {f"scores_{name}" for name in used} == {name for name in names if name.startswith("scores_relu")}
    assert ("dropout" in names) == (not used)


def test_a_depth_that_the_model_does_not_have_is_named() -> None:
    from zoo.errors import PluginError
    from zoo.training.heads.attach import depth_features

    with pytest.raises(PluginError, match="no layer 'block_99'"):
        depth_features(tiny(()), ("block_99",), "features")
    with pytest.raises(PluginError, match="declared as a depth, but its output has shape"):
        depth_features(tiny(()), ("features",), "features")


@pytest.fixture
def photos(photo_folder: PhotoFolder) -> Path:
    return photo_folder({"train/a": 24, "train/b": 24, "test/a": 9, "test/b": 9})


ARGUMENTS = ["train", "tiny_net", "--head", "chosen", "--epochs", "0", "--precision", "float32", "--weights", "drawn"]


def test_a_run_with_a_chosen_head_validates_by_folds(
    photos: Path, tiny_net: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    done = run_zoo(*ARGUMENTS, "--data", photos, "--name", "chosen")
    assert done.code == 0, done.err
    run = open_run(tmp_path / "runs" / "chosen")
    head = run.info.head
    assert head is not None
    assert head.images == 48
    assert head.folds == 5
    assert f"cross-validation: {100 * (head.accuracy or 0):.1f} % on 48 images" in done.err
    assert {row["split"] for row in run.split()} == {"train", "test"}
    folds = Predictions.read_csv(run.path / "cross_validation.csv")
    assert len(folds) == 48
    assert set(folds.files) == {row["path"] for row in run.split() if row["split"] == "train"}
    assert run.metrics.min_confidence is None or run.metrics.min_confidence.chosen_on == "folds"
    assert run.history == {}
    assert not (run.path / "checkpoints").exists()
    report = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Choosing the head" in report
    assert "ridge" in report
    again = run_zoo(*ARGUMENTS, "--data", photos, "--name", "again")
    assert again.code == 0
    assert (run.path / "predictions.csv").read_bytes() == (tmp_path / "runs" / "again" / "predictions.csv").read_bytes()


def test_a_run_names_a_class_that_could_not_be_judged(
    photo_folder: PhotoFolder, tiny_net: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    data = photo_folder({"train/a": 12, "train/b": 12, "train/c": 1, "test/a": 3, "test/b": 3, "test/c": 3})
    done = run_zoo(*ARGUMENTS, "--data", data, "--name", "chosen")
    assert done.code == 0, done.err
    assert "The head could not be judged on class(es) 'c'" in done.err
    run = open_run(tmp_path / "runs/chosen")
    assert run.info.head is not None
    assert (run.info.head.unjudged, run.info.head.images) == (("c",), 24)
    assert "The images of <bdi>c</bdi> were used for training in all folds" in (run.path / "report.html").read_text(
        "utf-8"
    )


def test_an_export_of_a_head_on_several_depths_is_verified(
    photos: Path, tiny_net: None, run_zoo: RunZoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Features, "balances", property(lambda self: [Balance("all depths", (1.0, 1.0, 1.0))]))
    assert run_zoo(*ARGUMENTS, "--data", photos, "--name", "deep").code == 0
    head = open_run(tmp_path / "runs" / "deep").info.head
    assert head is not None
    assert head.depths == ("relu_1", "relu_2")
    done = run_zoo("export", "deep", "--format", "tflite", "--format", "onnx", "--precision", "float32")
    assert done.code == 0, done.err
    assert done.out.count("verified") >= 2


def test_a_training_killed_behind_the_head_resumes_to_the_same_weights(
    photos: Path, tiny_net: None, run_zoo: RunZoo, tmp_path: Path, site: Path
) -> None:
    options = [each for each in ARGUMENTS if each not in ("--epochs", "0")]
    command = [*options, "--epochs", "3", "--data", photos]
    assert run_zoo(*command, "--name", "whole").code == 0
    interrupt(
        signal.SIGKILL, "epoch 2/3", *command, "--name", "killed", cwd=tmp_path, environment=zoo_environment(site)
    )
    done = run_zoo("train", "--resume", "runs/killed")
    assert done.code == 0, done.err
    runs = tmp_path / "runs"
    assert (runs / "killed/predictions.csv").read_bytes() == (runs / "whole/predictions.csv").read_bytes()


@pytest.mark.long
def test_a_resumed_run_chooses_the_head_on_pretrained_features_again(
    photo_folder: PhotoFolder, tmp_path: Path, site: Path
) -> None:
    command = ["train", "mobilenetv2", "--recipe", "finetune", "--size", "96", "--epochs", "7"]
    command += ["--precision", "float32", "--data", str(photo_folder({"a": 16, "b": 16})), "--name", "killed"]
    environment = zoo_environment(site)
    interrupt(signal.SIGKILL, "epoch 3/7", *command, cwd=tmp_path, environment=environment)
    killed = tmp_path / "runs/killed"
    table, head = (killed / "cross_validation.csv").read_bytes(), open_run(killed).info.head
    # Before the end, because the head is then chosen on more images if no epoch is better.
    interrupt(signal.SIGKILL, "epoch 6/7", "train", "--resume", killed, cwd=tmp_path, environment=environment)
    assert (killed / "cross_validation.csv").read_bytes() == table
    assert head is not None
    assert open_run(killed).info.head == head


def test_settings_of_a_head_that_contradict_each_other_are_told(photos: Path, tiny_net: None, run_zoo: RunZoo) -> None:
    for options, told in (
        (["--optimizer", "adamw"], "chooses a head in closed form"),
        (["--calibrate", "none"], "always calibrated by its cross-validation"),
        (["--head-epochs", "2"], "a chosen head is not trained by epochs"),
    ):
        done = run_zoo(*ARGUMENTS, *options, "--data", photos)
        assert done.code == 2, done.err
        assert told in done.err
    assert run_zoo("train", "simple_cnn", "--head", "chosen").code == 2


def test_the_learning_curve_says_what_more_images_bring() -> None:
    from zoo.training.heads.growth import grow

    def right(share: float) -> np.ndarray:  # type: ignore[type-arg]
        return (np.arange(1000) < share * 1000).astype(float)

    falling = grow((100, 200, 400), (right(0.6), right(0.8), right(0.9)), seed=0)
    assert falling.gain == pytest.approx(0.05)  # errors of 20 and 10 %, so 5 % is expected
    assert falling.interval[0] < 0.05 < falling.interval[1]
    assert "would add about 5.0 points" in str(falling)
    assert "the gain between 200 and 400 of them." in str(falling)
    many = grow((100, 200, 400), (right(0.6), right(0.8), right(0.9)), seed=0, ratio=4)
    assert many.gain == pytest.approx(0.0125)  # errors of 10, 5, 2.5 and 1.25 % with 1, 2, 4 and 8 times as many
    flat = grow((100, 200, 400), (right(0.9), right(0.9), right(0.9)), seed=0)
    assert flat.gain == 0
    assert "would hardly help" in str(flat)
    perfect = grow((1, 2, 4), (right(1.0),) * 3, seed=0)
    assert perfect.gain == 0


def test_classes_are_named_only_if_they_have_fewer_images_and_more_errors_than_by_chance() -> None:
    from zoo.training.heads.growth import find_lacking

    counts = np.array([100, 40, 100, 100])
    classes = np.repeat(np.arange(4), counts)
    right = np.arange(len(classes)) % 10 != 0  # one in ten is wrong
    assert find_lacking("abcd", counts, classes, right) is None
    glass = right & ~((classes == 1) & (np.arange(len(classes)) % 2 == 0))
    found = find_lacking(("paper", "glass", "metal", "wood"), counts, classes, glass)
    assert found is not None
    assert str(found) == (
        "More photos of glass (20 of 40 wrong in the folds, 95 % interval 34 % to 66 %) would probably help most. The"
        " other classes have more photos on average, and 30 of 300 are wrong."
    )
    metal = right & ~((classes == 2) & (np.arange(len(classes)) % 2 == 0))  # has as many images as others
    assert find_lacking("abcd", counts, classes, metal) is None
    random = np.random.default_rng(0)
    by_chance = [find_lacking("abcd", counts, classes, random.random(340) > 0.2) for _ in range(400)]
    assert np.mean([each is not None for each in by_chance]) < 0.05


def test_a_run_names_the_class_that_lacks_photos(
    photo_folder: PhotoFolder, tiny_net: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    data = photo_folder({"train/a": 40, "train/b": 40, "test/a": 5, "test/b": 5, "test/c": 5})
    for number in range(16):  # in all colours, so that they cannot be learned
        draw_photo(data / f"train/c/{number}.jpg", 11 * number, number)
    done = run_zoo(*ARGUMENTS, "--data", data, "--name", "chosen")
    assert done.code == 0, done.err
    run = open_run(tmp_path / "runs/chosen")
    assert run.info.head is not None
    lacking = run.info.head.lacking
    assert lacking is not None
    assert [each.label for each in lacking.classes] == ["c"]
    folds = Predictions.read_csv(run.path / "cross_validation.csv")
    wrong = folds.probabilities.argmax(1) != folds.true
    assert (lacking.classes[0].wrong, lacking.classes[0].images) == (wrong[folds.true == 2].sum(), 16)
    assert (lacking.other_wrong, lacking.other_images) == (wrong[folds.true != 2].sum(), 80)
    assert str(lacking) in " ".join(done.out.split())
    assert str(lacking) in (run.path / "report.html").read_text("utf-8")


def test_a_run_that_chooses_measures_its_learning_curve() -> None:
    features, classes = drawn(150, slice(0, 7))
    growth = chosen_of(features, classes).info.growth
    assert growth is not None
    assert growth.images == (30, 60, 120)
    assert growth.accuracies[0] < growth.accuracies[2]
    assert chosen_of(*drawn(3, slice(0, 20))).info.growth is None


@pytest.mark.parametrize("given", [{"": 24}, {"train/": 14, "val/": 6, "test/": 6}])
def test_fine_tuning_that_does_not_pay_leaves_the_model_that_is_had_without_it(
    given: dict[str, int], photo_folder: PhotoFolder, tiny_net: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    """The validation images, with which the epochs were compared, are then also used to choose and train the head."""
    data = photo_folder({f"{split}{label}": count for split, count in given.items() for label in "ab"})
    common = ["train", "tiny_net", "--data", data, "--head", "chosen"]
    tuning = ["--epochs", "1", "--learning-rate", "100", "--optimizer", "sgd", "--batch-norm-momentum", "0.9"]
    quick = run_zoo(*common, "--epochs", "0", "--runs", "quick")
    assert quick.code == 0, quick.err
    assert ("The 12 validation images of the data are also used for training" in quick.err) == ("val/" in given)
    tuned = run_zoo(*common, *tuning, "--runs", "tuned")
    assert tuned.code == 0, tuned.err
    assert "The chosen head was kept: no epoch had both a higher accuracy" in tuned.err
    (one,), (other,) = ((tmp_path / name).iterdir() for name in ("quick", "tuned"))
    assert (one / "predictions.csv").read_bytes() == (other / "predictions.csv").read_bytes()
    assert (one / "cross_validation.csv").read_bytes() == (other / "cross_validation.csv").read_bytes()
    info, counts = open_run(other).info, open_run(other).info.data.counts
    assert info.best_epoch == 0
    assert info.tuning is not None
    assert (info.tuning.kept, info.tuning.epoch, info.tuning.images) == (False, 1, sum(counts["val"].values()))
    assert str(info.tuning) in " ".join(tuned.err.split())
    report = (other / "report.html").read_text(encoding="utf-8")
    assert str(info.tuning) in report
    assert "The weights of the backbone were not trained." in report
    assert info.head is not None
    assert info.head.images == sum(counts["train"].values()) + sum(counts["val"].values())
    assert len(open_run(other).history["loss"]) == 1
    figures = [open_run(run).metrics.as_dict() for run in (one, other)]
    assert figures[0] | {"per_class": None} == figures[1] | {"per_class": None}  # has numbers of training images


def test_a_kept_fine_tuning_tells_what_it_gained(tiny_net: None, run_zoo: RunZoo, tmp_path: Path) -> None:
    for label, hue in (("a", 60), ("b", 64)):  # so similar that the frozen backbone confuses them
        for number in range(60):
            draw_photo(tmp_path / "photos" / label / f"{number}.jpg", hue, hash_of(f"{label}/{number}"))
    command = ["train", "tiny_net", "--data", tmp_path / "photos", "--head", "chosen", "--epochs", "12"]
    command += ["--learning-rate", "3e-3", "--unfreeze", "1", "--batch-norm-momentum", "0.9", "--augmentation", "none"]
    # In float32, because processors round bfloat16 differently.
    done = run_zoo(*command, "--precision", "float32", "--name", "tuned")
    assert done.code == 0, done.err
    run = open_run(tmp_path / "runs/tuned")
    tuning = run.info.tuning
    assert tuning is not None
    assert tuning.kept
    assert tuning.epoch == run.info.best_epoch
    assert tuning.accuracy == pytest.approx(run.history["val_accuracy"][tuning.epoch - 1])
    assert tuning.head_accuracy is not None
    assert tuning.accuracy > tuning.head_accuracy
    assert tuning.brier_score is not None
    assert tuning.brier_score < tuning.head_brier_score
    assert str(tuning) in " ".join(done.err.split())
    report = (run.path / "report.html").read_text(encoding="utf-8")
    assert str(tuning) in report
    assert "The weights of the backbone were not trained." not in report


def test_a_fine_tuned_model_is_saved_in_float32(
    photo_folder: PhotoFolder, tiny_net: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    import keras

    command = ["train", "tiny_net", "--data", photo_folder({"a": 20, "b": 20}), "--head", "chosen", "--epochs", "1"]
    assert run_zoo(*command, "--precision", "mixed_bfloat16", "--name", "tuned").code == 0
    model = keras.models.load_model(open_run(tmp_path / "runs/tuned").model_path)
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}


def test_without_validation_images_the_chosen_head_stays(
    photo_folder: PhotoFolder, tiny_net: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    data = photo_folder({"a": 2, "b": 2})
    tuned = run_zoo("train", "tiny_net", "--data", data, "--head", "chosen", "--epochs", "1", "--name", "tuned")
    assert tuned.code == 0, tuned.err
    assert "there are no validation images to judge fine-tuning" in tuned.err
    assert run_zoo(*ARGUMENTS, "--data", data, "--name", "plain").code == 0
    runs = tmp_path / "runs"
    assert open_run(runs / "tuned").info.best_epoch == 0
    assert (runs / "tuned/predictions.csv").read_bytes() == (runs / "plain/predictions.csv").read_bytes()


@pytest.mark.parametrize("precision", ["auto", "mixed_bfloat16"])
def test_a_chosen_head_is_float32_even_where_training_steps_would_not_be(
    precision: str, photos: Path, tiny_net: None, run_zoo: RunZoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.training.precision.WORTHWHILE_SPEEDUP", 0.0)
    command = [*ARGUMENTS[:-4], "--weights", "drawn", "--data", str(photos), "--name", "chosen"]
    done = run_zoo(*command, "--precision", precision)
    if precision == "auto":
        assert done.code == 0, done.err
        assert open_run(tmp_path / "runs/chosen").info.precision == "float32"
    else:
        assert done.code == 2
        assert "a head is chosen in closed form on features in float32" in done.err


@pytest.mark.parametrize(
    ("gain", "accuracy", "better"),
    [
        ([0.0] * 8, 0.9, False),
        ([0.3, -0.2, 0.1, -0.1] * 4, 0.9, False),
        ([0.3, 0.1, 0.2, -0.1] * 4, 0.9, True),
        ([0.1] * 8, 0.9, True),
        ([0.1] * 8, 0.8, False),  # more confident, but not more often right
    ],
)
def test_an_epoch_has_to_improve_on_the_chosen_head_in_accuracy_and_by_a_standard_error(
    gain: list[float], accuracy: float, better: bool
) -> None:
    head = np.full(len(gain), 0.5)
    judge = SimpleNamespace(progress=Progress(head_errors=tuple(head.tolist()), best_error=0.5, head_accuracy=0.8))
    assert Harness._improves(judge, head - gain, accuracy) is better  # type: ignore[arg-type]
    assert judge.progress.best_error == (pytest.approx(0.5 - np.mean(gain)) if better else 0.5)
    if better:  # another epoch has to be better than this one, too
        assert not Harness._improves(judge, head - np.array(gain) + 0.01, accuracy)  # type: ignore[arg-type]


def test_batch_norm_trains_with_the_layers_where_it_is_given_a_momentum() -> None:
    import keras

    from zoo.training.model import unfreeze

    image = keras.Input((8, 8, 3))
    parts = [
        keras.layers.Conv2D(4, 3),
        keras.layers.BatchNormalization(),
        keras.layers.GlobalAveragePooling2D(name="f"),
    ]
    x = image
    for layer in parts:
        x = layer(x)
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(x))
    unfreeze(model, "f", 1.0)
    assert (parts[1].trainable, parts[1].momentum) == (False, 0.99)
    unfreeze(model, "f", 1.0, 0.9)
    assert (parts[0].trainable, parts[1].trainable, parts[1].momentum) == (True, True, 0.9)
    unfreeze(model, "f", 0.0, 0.9)
    assert not any(layer.trainable for layer in parts)
