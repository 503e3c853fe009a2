"""Compares rules for the suggested confidence threshold on training photos, by cross-validation.

    python benchmarks/thresholds.py --features CACHE rugby_soccer/train flowers5/train trashnet/train ccby_coarse

In each of twelve seeded divisions of the photos of a folder, a head on MobileNetV2's features is trained on 68 % of
them, the temperature is fitted and the threshold is chosen on 12 %, and both are evaluated on 20 %. Features are stored
in CACHE.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.evaluation import Predictions
from zoo.evaluation.threshold import TARGET_ACCURACY, lowest_threshold
from zoo.figures import percent

DIVISIONS = 12

#: Functions that return the target accuracy for the accuracy without a threshold on the validation photos.
RULES: dict[str, Callable[[float], float]] = {
    "99 %": lambda plain: TARGET_ACCURACY,
    "half of the errors": lambda plain: (1 + plain) / 2,
    "whichever predicts more": lambda plain: min(TARGET_ACCURACY, (1 + plain) / 2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--features", type=Path, required=True)
    options = parser.parse_args()
    print(f"{'':<16}{'rule':<24}{'plain error':>12}{'predicted':>10}{'lowest':>10}{'error':>8}")
    for folder in options.folders:
        name = folder.parent.name if folder.name == "train" else folder.name
        features, classes = _features(folder, options.features / f"{name}.npz")
        divided = [_divide(features, classes, seed) for seed in range(DIVISIONS)]
        for rule, target in RULES.items():
            _tell(name, rule, [_measure(validation, test, target) for validation, test in divided])


def _tell(name: str, rule: str, found: list[tuple[float, float, float]]) -> None:
    plain, answered, error = (np.array(values) for values in zip(*found, strict=True))
    cells = (percent(plain.mean()), percent(answered.mean()), percent(answered.min()), percent(error.mean()))
    print(f"{name:<16}{rule:<24}{cells[0]:>12}{cells[1]:>10}{cells[2]:>10}{cells[3]:>8}")


def _measure(
    validation: Predictions, test: Predictions, target: Callable[[float], float]
) -> tuple[float, float, float]:
    """Error without a threshold, share of images above the threshold, and error of their predictions."""
    least = lowest_threshold(validation, target(float(validation.correct.mean())))
    answered = test.confidence >= (np.inf if least is None else least)
    error = float(1 - test.correct[answered].mean()) if answered.any() else 0.0
    return float(1 - test.correct.mean()), float(answered.mean()), error


def _divide(features: NDArray[np.float32], classes: NDArray[np.int64], seed: int) -> tuple[Predictions, Predictions]:
    from scipy.special import softmax
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split

    from zoo.training.temperature import fit_temperature

    rows = np.arange(len(classes))
    rest, test = train_test_split(rows, test_size=0.2, random_state=seed, stratify=classes)
    train, validation = train_test_split(rest, test_size=0.15, random_state=seed, stratify=classes[rest])
    head = LogisticRegression(C=0.003, max_iter=200).fit(features[train], classes[train])

    def logits(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        found = head.decision_function(features[rows])
        return np.stack([0 * found, found], 1) if found.ndim == 1 else found

    def predictions(rows: NDArray[np.int64], temperature: float) -> Predictions:
        labels = tuple(map(str, range(classes.max() + 1)))
        return Predictions(labels, tuple(map(str, rows)), classes[rows], softmax(logits(rows) / temperature, axis=1))

    temperature = fit_temperature(predictions(validation, 1.0).probabilities, classes[validation])
    return predictions(validation, temperature), predictions(test, temperature)


def _features(folder: Path, cached: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    if not cached.is_file():
        _compute(folder, cached)
    with np.load(cached) as found:
        classes = found["y"]
        features = found["x"].reshape(len(classes), -1)
    return (features - features.mean(0)) / (features.std(0) + 1e-3), classes


def _compute(folder: Path, cached: Path) -> None:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    from zoo.data import load_for_evaluation
    from zoo.evaluation.predict import predict
    from zoo.registry import architectures

    architecture = architectures().get("mobilenetv2")
    weights = architecture.weights[0]
    model = architecture.build(architecture.image.input_shape, len(weights.labels()))
    weights.load(model, True)
    backbone = keras.Model(model.inputs, model.get_layer(str(architecture.backbone)).output)
    labels = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    data = load_for_evaluation(str(folder), architecture.image, labels)
    cached.parent.mkdir(parents=True, exist_ok=True)
    np.savez(cached, x=predict(backbone, data, np.arange(len(data.names))), y=data.classes)


if __name__ == "__main__":
    main()
