"""Callbacks observe a training without changing it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.recipe import Recipe
from zoo.testing.callbacks import CallbacksSubject
from zoo.testing.result import CheckError, one_line


def check_makes_callbacks(subject: CallbacksSubject) -> str:
    first, second = (_make(subject, name) for name in ("first", "second"))
    if shared := [callback for callback in first if any(callback is other for other in second)]:
        raise CheckError(
            "every run gets new callbacks",
            f"{type(shared[0]).__name__} is the same object for two runs",
            "Create it inside the hook. Otherwise its state is passed on to the next run.",
        )
    return ", ".join(type(callback).__name__ for callback in first) or "none for the default recipe"


def check_leaves_training_alone(subject: CallbacksSubject) -> str:
    alone = _train([])
    try:
        watched = _train(_make(subject, "training"))
    except CheckError:
        raise
    except (Exception, SystemExit) as error:
        raise CheckError(
            "a training of two epochs with validation is completed", one_line(error), "Look at the traceback of fit()."
        ) from error
    if any(not np.array_equal(*pair) for pair in zip(alone, watched, strict=True)):
        raise CheckError(
            "the weights are exactly those of a training without the callbacks",
            "other weights",
            "Draw random numbers from your own generator, and do not change weights and optimizer.",
        )
    return "two epochs, the same weights"


def check_state(subject: CallbacksSubject) -> str:
    kept = [callback for callback in _make(subject, "state") if hasattr(callback, "get_state")]
    for callback in kept:
        name = type(callback).__name__
        try:
            state = json.loads(json.dumps(callback.get_state()))
            callback.set_state(state)
            again = json.loads(json.dumps(callback.get_state()))
        except Exception as error:
            raise CheckError(
                "get_state() returns values that JSON can store, and set_state() restores them",
                f"{name}: {one_line(error)}",
                "Use only numbers, strings, lists and dicts. `zoo train --resume` reads the state from the checkpoint.",
            ) from error
        if again != state:
            raise CheckError(
                "set_state(get_state()) changes nothing",
                f"{name}: {again!r:.80} instead of {state!r:.80}",
                "Restore the whole state.",
            )
    return f"{len(kept)} with a state"


def _make(subject: CallbacksSubject, name: str) -> list[Any]:
    folder: Path = subject.folder(name)
    given: dict[str, Any] = {"recipe": Recipe(), "run_dir": folder}
    taken = [parameter for parameter in inspect.signature(subject.callbacks.make).parameters if parameter in given]
    try:
        made = list(subject.callbacks.make(**{parameter: given[parameter] for parameter in taken}))
    except (Exception, SystemExit) as error:
        raise CheckError(
            "zoo_callbacks(recipe, run_dir) returns a list of callbacks", one_line(error), "Call it by hand."
        ) from error
    for callback in made:
        if not isinstance(callback, keras.callbacks.Callback):
            raise CheckError(
                "every callback is a keras.callbacks.Callback", f"{callback!r:.80}", "Derive it from that class."
            )
    return made


def _train(callbacks: list[Any]) -> list[NDArray[Any]]:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax", name="probabilities")(x))
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (16, 8, 8, 3)).astype(np.float32)
    targets = np.eye(2, dtype=np.float32)[random.integers(0, 2, 16)]
    model.fit(
        pixels, targets, batch_size=4, epochs=2, validation_data=(pixels, targets), callbacks=callbacks, verbose=0
    )
    return [np.asarray(weight) for weight in model.get_weights()]
