from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.made_runs import begin_run
from zoo.atomic import write_csv, write_json
from zoo.errors import UsageError
from zoo.evaluation import Predictions, compare, compute_metrics
from zoo.evaluation.paired import adjust, paired_test
from zoo.recipe import Recipe
from zoo.run_folder import Run

LABELS = ("rugby", "soccer")


def answers(right: Sequence[bool], files: Sequence[str] | None = None, labels: tuple[str, ...] = LABELS) -> Predictions:
    """Predictions in which image i has the class i % 2 and is predicted correctly or not."""
    true = np.arange(len(right)) % 2
    predicted = np.where(right, true, 1 - true)
    probabilities = np.where(np.arange(2) == predicted[:, None], 0.8, 0.2)
    return Predictions(labels, tuple(files or (f"{i}.jpg" for i in range(len(right)))), true, probabilities)


def finished(tmp_path: Path, given: Predictions, contents: Sequence[str] | None = None, **info: Any) -> Run:
    described = {
        "labels": list(given.labels),
        "recipe_name": "default",
        "parameters": 123456,
        "timings": {"train_s": 61.0},
        "data": {"digest": "d", "counts": {"train": dict.fromkeys(given.labels, 50)}},
        **info,
    }
    run = begin_run(tmp_path, **described)
    hashes = contents or [f"sha-{file}" for file in given.files]
    labels = [given.labels[i] for i in given.true]
    split = [(file, label, "test", sha) for file, label, sha in zip(given.files, labels, hashes, strict=True)]
    write_csv(run.path / "split.csv", ("path", "label", "split", "sha256"), split)
    given.write_csv(run.path / "predictions.csv")
    write_json(run.path / "metrics.json", compute_metrics(given, None).as_dict())
    return run


def right(n: int, wrong: range) -> list[bool]:
    return [i not in wrong for i in range(n)]


def test_a_small_difference_is_within_noise(tmp_path: Path) -> None:
    better = finished(tmp_path, answers(right(100, range(0, 6))), architecture="mobilenetv2")
    worse = finished(tmp_path, answers(right(100, range(4, 14))))
    comparison = compare([worse, better])
    assert [run.architecture for run in comparison.runs] == ["mobilenetv2", "simple_cnn"]
    (pair,) = comparison.pairs
    assert (pair.only_first, pair.only_second, pair.shared) == (8, 4, 100)
    assert pair.difference == pytest.approx(0.04)
    assert pair.p == pytest.approx(0.3877, abs=1e-4)
    assert not pair.adjusted
    assert "the difference of 4.0 points is not significant (p = 0.39;" in pair.sentence
    assert pair.interval[0] < 0 < pair.interval[1]


def test_a_large_difference_is_real(tmp_path: Path) -> None:
    better = finished(tmp_path, answers(right(100, range(0, 3))))
    worse = finished(tmp_path, answers(right(100, range(0, 20))))
    text = compare([worse, better]).render()
    assert "the difference of 17.0 points is significant (p < 0.001; 95 % interval +1" in text
    assert f"{better.name} and {worse.name} on 100 shared test images" in text


def test_equal_runs_differ_in_nothing(tmp_path: Path) -> None:
    runs = [finished(tmp_path, answers(right(20, range(3)))) for _ in range(2)]
    told = "no difference, both predict the same number correctly (p = 1; 95 % interval -16.1 to +16.1 points)"
    assert told in compare(runs).pairs[0].sentence


def test_class_order_does_not_matter(tmp_path: Path) -> None:
    given = answers(right(30, range(5)))
    turned = Predictions(LABELS[::-1], given.files, 1 - given.true, given.probabilities[:, ::-1])
    (pair,) = compare([finished(tmp_path, given), finished(tmp_path, turned)]).pairs
    assert (pair.shared, pair.only_first, pair.only_second, pair.relabelled) == (30, 0, 0, 0)


def test_moved_files_are_found_by_content_and_changed_ones_are_not_shared(tmp_path: Path) -> None:
    first = finished(tmp_path, answers([True] * 4, ["a", "b", "c", "d"]), ["1", "2", "3", "4"])
    second = finished(tmp_path, answers([False] * 4, ["a", "x/b", "c", "e"]), ["1", "2", "changed", "9"])
    comparison = compare([first, second])
    assert comparison.pairs[0].shared == 2
    assert "tested on different images" in comparison.render()


def test_copies_of_one_picture_meet_their_own(tmp_path: Path) -> None:
    first = answers([True, False, True, False], ["a", "b", "c", "d"])
    second = answers([True, False, True, False], ["a", "b", "c", "d"])
    same = dict.fromkeys("abcd", "same")
    pair = paired_test(("x", first, same), ("y", second, same))
    assert (pair.shared, pair.only_first, pair.only_second) == (4, 0, 0)


def test_an_image_with_another_class_in_the_other_run_is_left_out() -> None:
    first = answers([True, True, True], ["a", "b", "c"])
    second = Predictions(LABELS, ("a", "b", "c"), np.array([0, 1, 1]), first.probabilities)
    pair = paired_test(("x", first, {}), ("y", second, {}))
    assert (pair.shared, pair.relabelled) == (2, 1)


def test_nothing_shared_is_refused(tmp_path: Path) -> None:
    first = finished(tmp_path, answers([True] * 4, list("abcd")))
    second = finished(tmp_path, answers([True] * 4, list("efgh")))
    with pytest.raises(UsageError, match="share no test image"):
        compare([first, second])


def test_other_classes_are_refused_and_named(tmp_path: Path) -> None:
    first = finished(tmp_path, answers([True] * 4))
    second = finished(tmp_path, answers([True] * 4, labels=("rugby", "tennis")))
    message = f"only {first.name} has 'soccer'; only {second.name} has 'tennis'"
    with pytest.raises(UsageError, match=re.escape(message)):
        compare([first, second])


def test_unfinished_repeated_and_no_runs_are_refused(tmp_path: Path) -> None:
    run = finished(tmp_path, answers([True] * 4))
    with pytest.raises(UsageError, match="named twice"):
        compare([run, Run(run.path, run.info)])
    with pytest.raises(UsageError, match="no run"):
        compare([])
    (run.path / "metrics.json").unlink()
    with pytest.raises(UsageError, match="not finished"):
        compare([Run(run.path, run.info)])


def test_seeds_give_mean_and_standard_deviation(tmp_path: Path) -> None:
    runs = [finished(tmp_path, answers(right(100, range(wrong))), seed=seed) for seed, wrong in enumerate((10, 12, 14))]
    other = finished(tmp_path, answers(right(100, range(2))), architecture="mobilenetv2")
    comparison = compare([*runs, other])
    (group,) = comparison.groups
    assert (group.architecture, group.seeds) == ("simple_cnn", (0, 1, 2))
    assert group.accuracy_mean == pytest.approx(0.88)
    assert group.accuracy_sd == pytest.approx(0.02)
    assert "2.0 points" in comparison.render()


def test_one_seed_run_twice_has_no_deviation(tmp_path: Path) -> None:
    runs = [finished(tmp_path, answers(right(100, range(10))), seed=7) for _ in range(2)]
    comparison = compare(runs)
    (group,) = comparison.groups
    assert (group.runs, group.seeds, group.accuracy_mean, group.accuracy_sd) == (2, (7,), 0.9, None)
    text = comparison.render()
    assert "7, 7" not in text
    assert "0.0 points  " not in text
    assert "count as one" in text
    assert json.loads(json.dumps(comparison.as_dict()))["groups"][0]["accuracy_sd"] is None


def test_a_repeated_seed_counts_once_among_others(tmp_path: Path) -> None:
    wrong = ((0, 10), (0, 10), (1, 14))
    runs = [finished(tmp_path, answers(right(100, range(count))), seed=seed) for seed, count in wrong]
    (group,) = compare(runs).groups
    assert (group.runs, group.seeds) == (3, (0, 1))
    assert group.accuracy_mean == pytest.approx(0.88)
    assert group.accuracy_sd == pytest.approx(0.02 * 2**0.5)


def test_other_recipes_are_no_seeds(tmp_path: Path) -> None:
    first = finished(tmp_path, answers([True] * 10))
    second = finished(tmp_path, answers([True] * 10), recipe=Recipe(epochs=3).as_dict())
    assert compare([first, second]).groups == ()


def test_runs_from_before_the_ranges_were_recorded_are_seeds_of_the_same_recipe(tmp_path: Path) -> None:
    now = Recipe(augmentation="strong", epochs=7).with_values({"flip": "horizontal"}).as_dict()
    before = Recipe(epochs=7).as_dict() | {"augmentation": "strong"}  # the name alone meant a horizontal flip
    before.pop("precision")  # a field that was added later has its default
    runs = [
        finished(tmp_path, answers(right(100, range(10))), recipe=now, seed=0, options={}),
        finished(tmp_path, answers(right(100, range(12))), recipe=before, seed=1),
        finished(tmp_path, answers(right(100, range(14))), recipe=now | {"epochs": 8}, seed=2),
    ]
    (group,) = compare(runs).groups
    assert group.seeds == (0, 1)


def test_an_augmentation_that_no_image_saw_is_no_other_recipe(tmp_path: Path) -> None:
    alone = Recipe(epochs=0, head_epochs=3)
    recipes = [replace(alone, augmentation=name).as_dict() for name in ("strong", "none")]
    recipes.append(replace(alone, head_views=2).as_dict())
    runs = [
        finished(tmp_path, answers(right(100, range(10))), recipe=recipe, seed=seed)
        for seed, recipe in enumerate(recipes)
    ]
    (group,) = compare(runs).groups
    assert group.seeds == (0, 1)


def test_several_comparisons_are_adjusted(tmp_path: Path) -> None:
    runs = [finished(tmp_path, answers(right(100, range(wrong)))) for wrong in (2, 9, 10)]
    comparison = compare(runs)
    assert [pair.unadjusted_p for pair in comparison.pairs] == pytest.approx([0.015625, 0.0078125, 1.0])
    # Holm: 3 x the smallest, then 2 x the next but never below the one before.
    assert [pair.p for pair in comparison.pairs] == pytest.approx([0.03125, 0.0234375, 1.0])
    assert len(comparison.against_best) == 2
    text = comparison.render()
    assert "adjusted for 3 comparisons, which are all pairs of runs (Holm)" in text
    assert "Comparison of each run with the best (--json contains all 3 pairs):" in text
    assert text.count("shared test images") == 2
    assert len(comparison.as_dict()["pairs"]) == 3
    assert "--json" not in compare(runs[:2]).render()


def test_holm_never_falls_with_rank() -> None:
    tests = [paired_test(("x", answers([True] * 30), {}), ("y", answers(right(30, range(w))), {})) for w in (6, 6, 7)]
    assert [test.p for test in adjust(tests)] == pytest.approx([0.0625, 0.0625, 3 * 2 / 2**7])


def test_comparison_is_json_and_a_table(tmp_path: Path) -> None:
    comparison = compare([finished(tmp_path, answers(right(40, range(w)))) for w in (1, 5)])
    told = json.loads(json.dumps(comparison.as_dict(), allow_nan=False))
    assert told["pairs"][0]["sentence"] == comparison.pairs[0].sentence
    assert told["runs"][0]["parameters"] == 123456
    header, first, *_ = comparison.render().splitlines()
    assert header.split()[:3] == ["run", "recipe", "accuracy"]
    assert "97.5 %" in first
    assert "100 / 40" in first


def test_one_run_alone_is_a_table(tmp_path: Path) -> None:
    comparison = compare([finished(tmp_path, answers([True] * 5))])
    assert comparison.pairs == comparison.against_best == ()
    assert len(comparison.render().splitlines()) == 2
