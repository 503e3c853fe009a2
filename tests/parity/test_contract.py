"""Names, shapes, types and labels: each problem is reported in a separate sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from zoo.evaluation.trained import TrainedModel
from zoo.exported import Metadata, TensorInfo
from zoo.image_spec import ImageSpec
from zoo.parity import Contract, check_contract

LABELS = ("cat", "dog", "owl")


def no_model() -> Any:
    raise AssertionError("the contract needs no model")


REFERENCE = TrainedModel("run", "small", LABELS, ImageSpec(), no_model)
IMAGE = TensorInfo(name="image", shape=(None, 224, 224, 3), dtype="float32")
OUTPUT = TensorInfo(name="probabilities", shape=(None, 3), dtype="float32")
METADATA = Metadata(
    labels=LABELS, image=ImageSpec(), precision="float32", architecture="small", source="run", model_digest="0"
)


def check(
    tensor: TensorInfo = IMAGE, output: TensorInfo = OUTPUT, metadata: Metadata | None = METADATA, **values: Any
) -> Contract:
    return check_contract((tensor,), (output,), replace(metadata, **values) if metadata else None, REFERENCE, "0")


def test_a_file_as_it_should_be() -> None:
    kept = check()
    assert (kept.problems, kept.notes, kept.askable) == ((), (), True)
    assert check(replace(IMAGE, dtype="uint8"), precision="int8").problems == ()
    assert check(precision="float16").problems == ()


@pytest.mark.parametrize(
    ("kept", "sentence", "askable"),
    [
        (check(replace(IMAGE, name="x")), "The name of the input is 'x'; expected 'image'.", True),
        (check(output=replace(OUTPUT, name="y")), "The name of the output is 'y'; expected 'probabilities'.", True),
        (
            check(replace(IMAGE, shape=(None, 3, 224, 224))),
            "The input has the shape (batch, 3, 224, 224); expected (batch, 224, 224, 3).",
            False,
        ),
        (
            check(replace(IMAGE, shape=(1, 224, None, 3))),
            "The input has the shape (1, 224, ?, 3); expected (batch, 224, 224, 3).",
            False,
        ),
        (
            check(output=replace(OUTPUT, shape=(None, 1, 1, 3))),
            "The output has the shape (batch, 1, 1, 3); expected (batch, 3).",
            False,
        ),
        (
            check(replace(IMAGE, dtype="uint8")),
            "The input is uint8; expected float32 in a file of precision float32.",
            True,
        ),
        (
            check(precision="int8"),
            "The input is float32; expected uint8 in a file of precision int8.",
            True,
        ),
        (
            check(replace(IMAGE, dtype="uint8", scale=0.0078125, zero_point=127), precision="int8"),
            "The input is quantised with scale 0.0078125 and zero point 127; expected 1 and 0.",
            True,
        ),
        (
            check(output=replace(OUTPUT, scale=1 / 256)),
            "The output is quantised with scale 0.00390625 and zero point 0; expected 1 and 0.",
            True,
        ),
        (
            check(labels=("cat", "owl", "dog")),
            "Output 1 has the label 'owl' in the file, but 'dog' in the model. Other labels that differ: 1.",
            True,
        ),
        (
            check(labels=("cat", "dog", "owl ")),
            "Output 2 has the label 'owl ' in the file, but 'owl' in the model.",
            True,
        ),
        (check(labels=("cat", "dog")), "The file has 2 labels, but the model has 3. Missing: 'owl'.", True),
        (
            check(image=ImageSpec(resize="crop", interpolation="bicubic")),
            "The preprocessing of the file differs from that of the model: resize 'crop' instead of 'squash', "
            "interpolation 'bicubic' instead of 'area'.",
            True,
        ),
        (check(precision="int4"), "The file's precision 'int4' is none of float32, float16, int8.", True),
        (
            check(metadata=None),
            "The file has no zoo metadata: its labels, preprocessing and precision are not known.",
            True,
        ),
        (
            check_contract((IMAGE, replace(IMAGE, name="size")), (OUTPUT,), METADATA, REFERENCE, "0"),
            "The file has 2 inputs ('image', 'size'); expected one, 'image'.",
            False,
        ),
        (
            check_contract((IMAGE,), (), METADATA, REFERENCE, "0"),
            "The file has 0 outputs (none); expected one, 'probabilities'.",
            False,
        ),
    ],
)
def test_each_breach_is_one_sentence(kept: Contract, sentence: str, askable: bool) -> None:
    assert kept.problems == (sentence,)
    assert kept.askable is askable


def test_a_batch_of_one_is_as_good_as_a_free_one() -> None:
    kept = check(replace(IMAGE, shape=(1, 224, 224, 3)), replace(OUTPUT, shape=(1, 3)))
    assert (kept.problems, kept.notes, kept.askable) == ((), (), True)


def test_another_fixed_batch_is_a_problem_because_one_image_cannot_be_predicted() -> None:
    kept = check(replace(IMAGE, shape=(8, 224, 224, 3)), replace(OUTPUT, shape=(8, 3)))
    assert kept.problems == (
        "The input has the shape (8, 224, 224, 3); expected (batch, 224, 224, 3).",
        "The output has the shape (8, 3); expected (batch, 3).",
    )
    assert not kept.askable


def test_another_architecture_is_said() -> None:
    assert check(architecture="large").notes == ("The architecture of the file is large; that of the model is small.",)


def test_a_file_of_other_weights_is_named() -> None:
    contract = check_contract((IMAGE,), (OUTPUT,), METADATA, REFERENCE, "f00d")
    assert contract.problems == (
        "The file was made from other weights: those of run with the digest 0. The digest of the model is f00d.",
    )
    assert contract.askable
