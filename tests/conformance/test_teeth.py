"""Every check passes on a correct architecture, and fails on one with a single fault, with a message that names it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import pytest
from keras import layers

from tests.conformance import broken
from tests.conformance.broken import SOUND, architecture
from zoo import Architecture, Recipe, Weights
from zoo.testing import CheckResult, check_names, fitted, parametrize_with_checks, run_checks
from zoo.testing.checks import cost


def weights(*labels: str, name: str = "own") -> Weights:
    return Weights(name=name, summary="For tests", labels=lambda: labels, load=lambda model, with_head: None)


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains for few steps: a model that does not learn would otherwise be trained for 180 steps in many tests."""
    monkeypatch.setattr(fitted, "STEPS", 25)


# Opening a model without the plugin takes a new process with TensorFlow; test_run.py tests this with simple_cnn.
@parametrize_with_checks([SOUND], checks=[name for name in check_names() if name != "opens_without_the_plugin"])
def test_a_sound_architecture_passes(check) -> None:
    check()


#: Check, fault, the finding that it reports, and the suggested fix.
BROKEN: list[tuple[str, Architecture, str, str]] = [
    ("record", replace(SOUND, summary="one\ntwo"), "'one\\ntwo'", "Describe its purpose"),
    ("record", replace(SOUND, summary="x" * 121), "121 characters", "Shorten it"),
    ("record", replace(SOUND, build=lambda input_shape: None), "too many positional arguments", "(input_shape, num_cl"),
    ("record", replace(SOUND, image=(224, 224)), "tuple (224, 224)", "help(zoo.Architecture)"),
    ("record", replace(SOUND, recipes={"default": {"epochs": 3}}), "{'epochs': 3}", "Recipe(...)"),
    (
        "record",
        replace(SOUND, backbone=None, recipes={"default": Recipe(head_epochs=3)}),
        "no backbone is declared",
        "Declare backbone=",
    ),
    ("record", replace(SOUND, build=broken.one_size, recipes={"default": Recipe(dropout=0.1)}), "dropout", "parameter"),
    (
        "record",
        replace(SOUND, weights=(weights("crane", "crane"),)),
        "2 labels, 1 of them different",
        "Distinguish equal names",
    ),
    ("record", replace(SOUND, weights=(weights("a", "b"), weights("a", "b"))), "'own' among own, own", "Rename it"),
    ("builds", architecture(broken.one_size), "built a model of input and output shapes", "manually"),
    ("builds", architecture(broken.two_classes), "ValueError: too many classes for me", "manually"),
    ("builds", broken.with_parts(input_name="pixels"), "'pixels'", "name='image'"),
    (
        "builds",
        broken.with_parts(head=lambda x, classes: keras.layers.Dense(classes, "softmax", name="scores")(x)),
        "'scores'",
        "name='probabilities'",
    ),
    ("builds", architecture(broken.leaves), "SystemExit", "Call build() manually"),
    ("probabilities", broken.LOGITS, "away from 1", "Are these logits?"),
    ("probabilities", broken.HALF_PRECISION, "bfloat16", "dtype='float32'"),
    ("probabilities", broken.NOT_FINITE, "values are not", "divide by zero"),
    ("raw_pixels", broken.NORMALISED_OUTSIDE, "'conv' receives values from 0 to 255", "Rescaling(1 / 127.5"),
    ("raw_pixels", broken.NORMALISED_TWICE, "'conv' receives values from -0.00392 to 0.00392", "second Rescaling"),
    (
        "same_seed_same_weights",
        broken.with_body(lambda x: broken.Random()(x)),
        "1 of 5 weights differ",
        "new generators",
    ),
    ("same_seed_same_weights", broken.SEEDED, "all 2 random weights are the same", "`--seed` must matter"),
    (
        "global_state",
        architecture(broken.changes_policy),
        "dtype policy was float32 and is mixed_bfloat16",
        "settings are global",
    ),
    ("global_state", architecture(broken.changes_data_format), "is channels_first", "settings are global"),
    ("global_state", architecture(broken.sets_the_seed), "random numbers after it are the same", "set_random_seed"),
    ("overfits_one_batch", broken.NO_GRADIENT, "from 1.39 to 1.39", "Does a gradient reach the weights?"),
    ("overfits_one_batch", broken.OWN_LAYER, "8 of 32, though", "layers that take `training`"),
    ("every_weight_moves", broken.STOPPED, "2 did not change: conv/kernel, conv/bias", "stop_gradient"),
    (
        "frozen_weights_stay",
        broken.with_body(lambda x: broken.Drifting(name="drifting")(x)),
        "1 of 3 frozen weights changed: drifting/scale",
        "must not assign to its own",
    ),
    ("batch_independence", broken.BATCH_STATISTICS, "a probability differs by", "computed over axis 0"),
    ("batch_independence", broken.EVER_NOISY, "a probability differs by", "Something random is active in inference"),
    ("answers_differ", broken.NO_IMAGE, "a probability differs by 0 at most", "Does the image reach the output?"),
    ("opens_without_the_plugin", broken.LAMBDA, "Lambda", "no Lambda, no custom class"),
    ("opens_without_the_plugin", broken.OWN_LAYER, "OnlyInTraining", "no Lambda, no custom class"),
    ("export_onnx_float32", broken.NO_OPERATOR, "Erfinv", "Use another layer instead"),
    ("export_tflite_float32", broken.NO_OPERATOR, "rfinv", ""),
    (
        "export_onnx_float32",
        broken.CHAOTIC,
        "A probability of the float32 model differs from Keras by",
        "the order of operations",
    ),
    (
        "export_tflite_float16",
        broken.CHAOTIC,
        "A probability of the float16 model differs from Keras by",
        "the range of float16",
    ),
    ("export_onnx_int8", broken.CHAOTIC, "the same class as Keras", "do not fit 8 bits"),
    ("nudged_weight", architecture(broken.ignores_the_first_kernel), "conv/kernel: by", "hardly depend on the weights"),
    ("backbone", replace(SOUND, backbone="no_such_layer"), "no layer 'no_such_layer'", "pooling layer before the"),
    ("backbone", replace(SOUND, depths=("conv", "no_such_layer")), "no layer 'no_such_layer'", "last layers of blocks"),
    ("backbone", replace(SOUND, depths=("probabilities",)), "its output has shape (None,", "last layers of blocks"),
    ("backbone", replace(SOUND, backbone="conv"), "(None, 16, 16, 64)", "Declare the pooling layer"),
    ("backbone", replace(SOUND, backbone="probabilities"), "not connected", "layer before the head"),
    ("backbone", architecture(broken.skips_the_backbone), "", "Connections that bypass it cannot be cached"),
    ("backbone", broken.BATCH_STATISTICS, "a probability differs by", "mean computed over axis 0"),
]


def only(results: list[CheckResult]) -> CheckResult:
    (result,) = results
    return result


@pytest.mark.parametrize(
    ("check", "subject", "seen", "mend"), BROKEN, ids=[f"{row[0]}-{row[2][:24]}" for row in BROKEN]
)
def test_what_is_broken_fails(check: str, subject: Architecture, seen: str, mend: str) -> None:
    result = only(run_checks(subject, checks=[check]))
    assert result.status == "failed"
    assert seen in result.seen
    assert mend in result.mend
    assert result.expected


def test_every_check_has_teeth() -> None:
    """``import_purity`` and ``training_step`` are tested below. The same code checks all formats and precisions."""
    asked = {row[0] for row in BROKEN} | {"import_purity", "training_step"}
    assert {name for name in check_names() if not name.startswith("export_")} <= asked
    assert len({name for name in asked if name.startswith("export_")}) >= 4


PLUGIN = """
{first}
from zoo import Architecture, hookimpl


def build(input_shape, num_classes):
    raise NotImplementedError


@hookimpl
def zoo_architectures():
    {inside}
    return [Architecture(name="impure", summary="For tests", build=build)]
"""


@pytest.mark.parametrize(
    ("first", "inside", "expected", "seen", "mend"),
    [
        ("import keras", "", "loads none of keras, tensorflow", "keras (imported at ", "inside the functions"),
        ("", "import numpy", "loads none of", "numpy (imported at ", "inside the functions"),
        ("print('hello')", "", "prints nothing", "hello", "Remove the print"),
        (
            "import os; os.environ['TF_X'] = '1'",
            "",
            "changes no environment variable",
            "TF_X",
            "Do not change the environment",
        ),
        ("raise RuntimeError('bad day')", "", "works in a fresh process", "RuntimeError: bad day", "python -c"),
    ],
)
def test_import_purity(
    first: str, inside: str, expected: str, seen: str, mend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "numpy")  # the lightest backend of Keras
    name = f"impure_{abs(hash((first, inside)))}"
    (tmp_path / f"{name}.py").write_text(PLUGIN.format(first=first, inside=inside or "pass"))

    def build(input_shape, num_classes): ...

    build.__module__ = name
    result = only(run_checks(architecture(build), checks=["import_purity"]))
    assert result.status == "failed"
    assert expected in result.expected
    assert seen in result.seen
    assert mend in result.mend
    if "imported at" in seen:
        assert f"{name}.py:" in result.seen


@pytest.mark.parametrize(("name", "limit", "seen"), [("MOST_BYTES", 2**27, "GiB for"), ("MOST_SECONDS", 1e-6, " s")])
def test_training_step(name: str, limit: float, seen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits are lowered, because a model that exceeds the real limits would take too much memory and time."""
    monkeypatch.setattr(cost, name, limit)
    # 25 million weights take 400 MB with gradient and moments, which is more than the free memory of the process.
    wide = broken.with_parts(head=lambda x, classes: broken.softmax(layers.Dense(393_216)(x), classes))
    result = only(run_checks(wide if name == "MOST_BYTES" else SOUND, checks=["training_step"]))
    assert result.status == "failed"
    assert seen in result.seen
    assert "ImageSpec" in result.mend
