"""Results depend on the seed, and no global state is changed."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.testing.keras_state import changed_settings, keras_settings, settings_kept
from zoo.testing.result import CheckError
from zoo.testing.subject import Subject
from zoo.training.model import get_weights


def check_same_seed_same_weights(subject: Subject) -> str:
    (paths, first), (_, again), (_, other) = (_fresh(subject, seed) for seed in (1, 1, 2))
    differing = [path for path, one, two in zip(paths, first, again, strict=True) if not np.array_equal(one, two)]
    if differing:
        raise CheckError(
            "two models built after keras.utils.set_random_seed(1) have the same weights",
            f"{len(differing)} of {len(first)} weights differ, '{differing[0]}' the first",
            "Draw random numbers only with keras.initializers or keras.random, without clock, sets or new generators.",
        )
    varied = [index for index, value in enumerate(first) if value.size > 1 and np.ptp(value) > 0]
    if varied and all(np.array_equal(first[index], other[index]) for index in varied):
        raise CheckError(
            "models built after two different seeds have different weights",
            f"all {len(varied)} random weights are the same",
            "Is a seed set inside build, or given to the initializers? Leave it to the caller: `--seed` must matter.",
        )
    return f"{len(first)} weights, {len(varied)} of them random"


def check_global_state(subject: Subject) -> str:
    architecture, shape = subject.architecture, subject.image.input_shape
    states = []
    with settings_kept():
        before = keras_settings()
        for seed in (1, 2):
            keras.utils.set_random_seed(seed)
            architecture.build(shape, 2)
            states.append((random.getstate(), repr(np.random.get_state())))
        changed = changed_settings(before)
    if changed:
        raise CheckError(
            "building does not change Keras's settings",
            "; ".join(changed),
            "Set dtype=... and data_format=... of the layers instead. The settings are global.",
        )
    for name, (one, two) in zip(("Python's", "NumPy's"), zip(*states, strict=True), strict=True):
        if one == two:
            raise CheckError(
                "building does not set the random seed",
                f"{name} random numbers after it are the same for every seed before it",
                "Remove keras.utils.set_random_seed, random.seed and numpy.random.seed.",
            )
    return "dtype policy, data format, epsilon and seed are unchanged"


def _fresh(subject: Subject, seed: int) -> tuple[list[str], list[NDArray[Any]]]:
    """Paths and values of the initial weights. A layer without an explicit name has another name in the next model."""
    shape = subject.image.input_shape  # which may require building
    keras.utils.set_random_seed(seed)
    model = subject.build(shape, 2)
    return [weight.path for weight in model.weights], get_weights(model.weights)
