"""Finished run folders with real image files, created without training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import draw_photo
from tests.made_runs import begin_run
from zoo.atomic import write_csv, write_json
from zoo.evaluation import Predictions, compute_metrics
from zoo.image_spec import ImageSpec
from zoo.recipe import Recipe
from zoo.run_folder import Run

MakeRun = Callable[..., Run]


def draw_photos(root: Path, labels: Sequence[str], each: int) -> dict[str, list[str]]:
    """Draws photos; returns their names by class. Folders are numbered, so that any class name is possible."""
    names: dict[str, list[str]] = {}
    for index, label in enumerate(labels):
        names[label] = [f"class{index}/photo {number} & co.jpg" for number in range(each)]
        for number, name in enumerate(names[label]):
            draw_photo(root / name, 160 * index // len(labels), 1000 * index + number)
    return names


def write_run(
    runs: Path,
    photos: Path,
    names: Mapping[str, Sequence[str]],
    *,
    architecture: str = "simple_cnn",
    strength: float = 3.0,
    epochs: int = 12,
    seed: int = 0,
    skipped: Sequence[tuple[str, str]] = (),
    info: Mapping[str, Any] | None = None,
) -> Run:
    """Writes a run. Every second photo of each class is a test image. Predictions are random, not those of a model."""
    rng = np.random.default_rng(seed)
    labels = tuple(names)
    split = [
        (name, label, ("train", "test", "train", "test", "val")[place % 5])
        for label, of_class in names.items()
        for place, name in enumerate(of_class)
    ]
    rows = [(name, label, part, _sha256(photos / name)) for name, label, part in split]
    test = [(name, labels.index(label)) for name, label, part, _ in rows if part == "test"]
    logits = rng.normal(0, 1, (len(test), len(labels)))
    logits[np.arange(len(test)), [true for _, true in test]] += strength
    odds = np.exp(1.4 * logits)
    predictions = Predictions(
        labels=labels,
        files=tuple(name for name, _ in test),
        true=np.array([true for _, true in test]),
        probabilities=(odds / odds.sum(axis=1, keepdims=True)).astype(np.float32),
    )
    counts = {
        part: {label: sum(row[1:3] == (label, part) for row in rows) for label in labels}
        for part in ("train", "val", "test")
    }
    described = {
        "zoo_version": "0.1.0",
        "distribution": "keras-edge-zoo",
        "command": f"zoo train {architecture} --data {photos.name} --seed {seed}",
        "data": {
            "source": str(photos),
            "root": str(photos),
            "digest": hashlib.sha256(repr(rows).encode("utf-8", "surrogateescape")).hexdigest(),
            "counts": counts,
            "split_origin": {"train": "given", "val": "made", "test": "given"},
            "skipped": len(skipped),
            "notes": ["2 images are in train and test; the copies in train are left out."],
        },
        "recipe_name": "default",
        "recipe": Recipe().as_dict(),
        "image": ImageSpec().as_dict(),
        "labels": list(labels),
        "seed": seed,
        "backend": "tensorflow",
        "precision": "float32",
        "parameters": 2257984,
        "versions": {"keras": "3.15.1", "tensorflow": "2.21.0", "numpy": "2.4.6"},
        "machine": {"cpu": "Some CPU @ 2.0 GHz", "cores": 2, "platform": "Linux x86_64"},
        "timings": {"load_s": 3.2, "train_s": 192.4, "evaluate_s": 2.1, "total_s": 199.0},
        "best_epoch": max(1, epochs - 3),
        **(info or {}),
    }
    run = begin_run(runs, architecture=architecture, **described)
    write_csv(run.path / "split.csv", ("path", "label", "split", "sha256"), rows)
    write_csv(run.path / "skipped.csv", ("path", "reason"), skipped)
    _write_history(run.path / "history.csv", epochs, rng)
    predictions.write_csv(run.path / "predictions.csv")
    write_json(run.path / "metrics.json", compute_metrics(predictions, counts["train"]).as_dict())
    return run


def _write_history(path: Path, epochs: int, rng: np.random.Generator) -> None:
    columns = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")
    rows = []
    for epoch in range(1, epochs + 1):
        fall = float(np.exp(-epoch / 8))
        noise = rng.normal(0, 0.01, 2)
        rise = 0.004 * max(0, epoch - 22)
        loss, val_loss = 0.15 + 0.6 * fall, 0.22 + 0.5 * fall + rise + noise[0]
        rows.append((epoch, loss, 0.97 - 0.45 * fall, val_loss, 0.93 - 0.4 * fall + noise[1], 1e-3, 4.2))
    write_csv(path, columns, rows)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """``make_run(labels, each=10, **options)`` creates drawn photos and a finished run on them."""

    def make(labels: Sequence[str] = ("rugby", "soccer"), each: int = 10, **options: Any) -> Run:
        photos = tmp_path / "photos"
        return write_run(tmp_path / "runs", photos, draw_photos(photos, labels, each), **options)

    return make
