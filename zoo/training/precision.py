"""``auto`` precision: chosen by a short measurement on this machine, which is stored for later runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo.atomic import make_folder, write_json
from zoo.backend import devices
from zoo.data.cache import cache_folder
from zoo.interfaces import Architecture
from zoo.locks import locked
from zoo.machine import machine
from zoo.recipe import Recipe
from zoo.records import read_object
from zoo.registry import architectures
from zoo.run_folder import Run
from zoo.training.model import build_model, compile_model

#: Minimum speed-up of bfloat16. Because it loses precision, it must be faster by more than the noise of a measurement.
WORTHWHILE_SPEEDUP = 1.15

_STEPS = 3


def resolve_precision(
    architecture: Architecture,
    input_shape: tuple[int, int, int],
    classes: int,
    options: Mapping[str, Any],
    recipe: Recipe,
    repeated: Run | None = None,
) -> str:
    """``float32`` or ``mixed_bfloat16``.

    For ``auto``, a few training steps on random pixels are timed with each precision, once per machine and per
    combination of everything that affects the time of a step. The result is stored in the cache. A run that is repeated
    under the same conditions keeps its precision, whatever is in the cache, so that the same seed gives the same
    result.
    """
    if recipe.head == "chosen" and not recipe.epochs:
        return "float32"  # nothing is trained by steps
    if recipe.precision != "auto":
        return recipe.precision
    if repeated and _measured_the_same(repeated, architecture, input_shape, classes, options, recipe):
        return repeated.info.precision
    path = cache_folder() / "precision.json"
    key = _key(architecture, input_shape, classes, options, recipe)
    known = _read(path)
    if key not in known:
        seconds = {
            name: _step_seconds(architecture, input_shape, classes, options, recipe, name) for name in _CANDIDATES
        }
        faster = seconds["float32"] / seconds["mixed_bfloat16"] >= WORTHWHILE_SPEEDUP
        known[key] = "mixed_bfloat16" if faster else "float32"
        make_folder(path.parent)
        with locked(path.with_name("precision.lock"), remove=True):
            write_json(path, _read(path) | {key: known[key]})  # another process may have changed it in the meantime
    return known[key]


def _key(
    architecture: Architecture,
    input_shape: tuple[int, int, int],
    classes: int,
    options: Mapping[str, Any],
    recipe: Recipe,
) -> str:
    """Everything that affects the measured time. The version of the plugin represents the model that it builds."""
    shared = keras.distribution.distribution()
    where = [*machine().values(), *devices(), keras.backend.backend(), keras.__version__]
    where += [f"{shared.num_model_replicas} replicas"] if shared else []
    model = [architecture.name, *_plugin(architecture), sorted(options.items()), *input_shape, classes]
    return "|".join(map(str, [*where, *model, *_step(recipe)]))


def _step(recipe: Recipe) -> list[Any]:
    """The recipe fields that affect the time of a step."""
    return [recipe.batch_size, recipe.optimizer, recipe.clip_norm > 0, recipe.ema_momentum > 0]


def _plugin(architecture: Architecture) -> list[str]:
    """Distribution and version of the plugin that provides it. Empty if no installed plugin does."""
    offers = architectures()
    return [f"{offer.distribution} {offer.version}" for offer in offers if offer.record.name == architecture.name]


def _measured_the_same(
    run: Run,
    architecture: Architecture,
    input_shape: tuple[int, int, int],
    classes: int,
    options: Mapping[str, Any],
    recipe: Recipe,
) -> bool:
    info, was = run.info, run.recipe
    return (
        (info.machine, info.backend) == (machine(), keras.backend.backend())
        and (run.architecture, run.image_spec.input_shape, len(run.labels), info.options)
        == (architecture.name, input_shape, classes, dict(options))
        and info.distribution in _plugin(architecture)
        and (was.precision, _step(was)) == ("auto", _step(recipe))
    )


_CANDIDATES = ("float32", "mixed_bfloat16")


def _step_seconds(
    architecture: Architecture,
    input_shape: tuple[int, int, int],
    classes: int,
    options: Mapping[str, Any],
    recipe: Recipe,
    precision: str,
) -> float:
    """The time of the fastest of a few training steps, in seconds."""
    model = build_model(architecture, input_shape, classes, options, precision)
    compile_model(model, recipe, steps_per_epoch=100)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (recipe.batch_size, *input_shape), np.uint8)
    targets = np.eye(classes, dtype=np.float32)[random.integers(0, classes, recipe.batch_size)]
    model.train_on_batch(pixels, targets)  # compiles and warms up
    times = []
    for _ in range(_STEPS):
        start = time.perf_counter()
        model.train_on_batch(pixels, targets)
        times.append(time.perf_counter() - start)
    return min(times)


def _read(path: Path) -> dict[str, str]:
    """The stored results. A damaged file is treated as empty."""
    try:
        found = read_object(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if value in _CANDIDATES}
