"""Wrong labels and outliers, which are found by features."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from zoo.audit import suspects
from zoo.audit.audit import audit
from zoo.audit.features import backbone_features, find_backbone
from zoo.audit.photos import read_photos
from zoo.audit.records import Records
from zoo.audit.suspects import held_out, label_suspects, outliers


def clusters(each: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    true = np.repeat(np.arange(classes), each)
    features = random.normal(size=(classes, 40))[true] + 0.5 * random.normal(size=(each * classes, 40))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features.astype(np.float32), true


def test_flipped_labels_are_found_and_little_else() -> None:
    features, true = clusters(30, 4)
    labels = true.copy()
    labels[[3, 40, 70, 100]] = [1, 2, 3, 0]
    found = label_suspects(features, labels, np.arange(len(labels)))
    assert {suspect.index for suspect in found} == {3, 40, 70, 100}
    assert all(suspect.suggested == true[suspect.index] for suspect in found)


def test_hard_pictures_are_not_suspect() -> None:
    """If classes overlap, many pictures are on the wrong side of the boundary, although their labels are right."""
    features, true = clusters(40, 3)
    random = np.random.default_rng(1)
    features = (features + 0.35 * random.normal(size=features.shape)).astype(np.float32)
    said = held_out(features, true, np.arange(120))
    assert (said.probabilities.argmax(1) != true).sum() >= 10
    assert label_suspects(features, true, np.arange(120)) == []


def test_the_most_evident_come_first() -> None:
    features, true = clusters(30, 4)
    labels = true.copy()
    labels[[3, 40, 70, 100]] = [1, 2, 3, 0]
    evidence = [suspect.evidence for suspect in label_suspects(features, labels, np.arange(len(labels)))]
    assert evidence == sorted(evidence, reverse=True)
    assert min(evidence) >= 0.7


def test_a_near_duplicate_does_not_vouch_for_a_wrong_label() -> None:
    features, true = clusters(12, 2)
    features[1:4] = features[0]
    labels = true.copy()
    labels[:4] = 1
    alone, together = np.arange(24), np.array([0, 0, 0, 0, *range(4, 24)])
    vouched = held_out(features, labels, alone).probabilities[:4, 1]
    judged = held_out(features, labels, together).probabilities[:4, 1]
    assert (judged < vouched).all()
    assert {suspect.index for suspect in label_suspects(features, labels, together)} == {0, 1, 2, 3}


@pytest.mark.parametrize("each", [8, 30], ids=["fewer images than features", "more images than features"])
def test_leaving_out_in_closed_form_is_leaving_out(each: int) -> None:
    """Compares with the same regression that was fitted again without the picture."""
    from zoo.audit.suspects import _Regression

    features, true = clusters(each, 3)
    targets = np.eye(3)[true]
    ridge = 0.5
    (found,) = _Regression(features, true).left_out(np.arange(len(true)), [slice(1, 3)], [ridge])
    centred = features - features.mean(0)
    for rows in ([0], [1, 2]):
        kept = np.setdiff1d(np.arange(len(true)), rows)
        # The intercept is a feature without a penalty.
        known = np.hstack([centred[kept], np.ones((len(kept), 1))])
        penalty = ridge * np.diag([*np.ones(centred.shape[1]), 0])
        weights = np.linalg.solve(known.T @ known + penalty, known.T @ targets[kept])
        expected = np.hstack([centred[rows], np.ones((len(rows), 1))]) @ weights
        np.testing.assert_allclose(found[rows], expected, atol=1e-5)


@pytest.mark.parametrize("each", [12, 30], ids=["fewer images than features", "more images than features"])
def test_blocks_change_no_result(each: int, monkeypatch: pytest.MonkeyPatch) -> None:
    features, true = clusters(each, 3)
    labels = true.copy()
    labels[[3, 20]] = [1, 2]
    group = np.arange(len(labels))
    group[5:17] = 5  # larger than a block
    group[[1, 30]] = 1
    whole, far = held_out(features, labels, group), outliers(features, labels, group)
    monkeypatch.setattr(suspects, "_BLOCK", 7)
    told: list[tuple[int, int]] = []
    parts = held_out(features, labels, group, lambda *counts: told.append(counts))
    np.testing.assert_allclose(parts.probabilities, whole.probabilities, atol=1e-6)
    np.testing.assert_allclose(parts.evidence, whole.evidence, atol=1e-6)
    assert abs(parts.wrong_share - whole.wrong_share) < 1e-6
    assert told[-1] == (2 * len(labels), 2 * len(labels))
    assert outliers(features, labels, group) == far


def test_a_large_duplicate_group_needs_no_matrix_of_its_pairs() -> None:
    features, true = clusters(3500, 2)
    group = np.zeros(7000, np.int64)
    group[::1000] = np.arange(7)
    tracemalloc.start()
    said = held_out(features, true, group)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # a matrix of all pairs has 400 MB
    assert np.isfinite(said.probabilities).all()


def test_small_classes_are_not_judged() -> None:
    features, true = clusters(4, 3)
    labels = true.copy()
    labels[0] = 1
    assert label_suspects(features, labels, np.arange(12)) == []


def test_a_picture_unlike_its_class_is_an_outlier() -> None:
    features, true = clusters(30, 2)
    features[7] = -features[7]
    found = outliers(features, true, np.arange(60))
    assert [outlier.index for outlier in found][:1] == [7]
    assert len(found) <= 2


def test_a_picture_that_says_it_is_missing_is_found_among_ants(shared_data: Path) -> None:
    from zoo.backend import start_keras

    found = audit(str(shared_data / "hymenoptera_small" / "train"), start_backend=start_keras)
    assert "ants/imageNotFound.gif" in {finding.files[0] for finding in found.by_kind["outlier"]}
    assert "leak" not in found.by_kind


@pytest.mark.long
def test_most_of_the_flipped_labels_of_real_photos_are_found_and_no_others(shared_data: Path) -> None:
    from zoo.backend import start_keras

    offer = find_backbone()
    assert offer is not None
    with Records() as records:
        photos = read_photos(str(shared_data / "ccby_coarse"), records)
    features = backbone_features(photos, offer, start_keras)
    position = {label: index for index, label in enumerate(photos.labels)}
    true = np.array([position[photo.label] for photo in photos.photos])
    random = np.random.default_rng(0)
    flipped = random.choice(len(true), round(0.05 * len(true)), replace=False)
    labels = true.copy()
    labels[flipped] = (true[flipped] + random.integers(1, len(position), len(flipped))) % len(position)
    suspects = {suspect.index for suspect in label_suspects(features, labels, np.arange(len(labels)))}
    right = len(suspects & set(flipped.tolist()))
    assert right >= 0.5 * len(flipped)
    assert right >= 0.9 * len(suspects)
    assert label_suspects(features, true, np.arange(len(labels))) == []
