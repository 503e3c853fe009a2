"""Properties and predictions of a converted file."""

from __future__ import annotations

import numpy as np

from zoo.errors import ExportError
from zoo.evaluation.trained import model_digest
from zoo.parity import check_contract, stored_problem
from zoo.parity.result import size_bytes
from zoo.testing.exporter import IMAGE, LABELS, ExporterSubject
from zoo.testing.result import CheckError, NothingToCheckError, one_line

#: Maximum difference of a probability from Keras. int8 files are compared with the rounded Keras model. Each runtime
#: rounds 8-bit sums differently (ONNX Runtime and LiteRT stay below 0.03 here, OpenVINO below 0.06).
TOLERANCE = {"float32": 1e-4, "float16": 1e-2, "int8": 0.1}

#: Maximum difference of a probability that other images in the batch may cause.
BATCH_TOLERANCE = 1e-5


def check_contract_kept(subject: ExporterSubject) -> str:
    told = []
    for precision in subject.exporter.precisions:
        path = subject.path(precision)
        files = subject.exporter.files(path)
        if strange := sorted(file.name for file in path.parent.iterdir() if file not in files):
            raise CheckError(
                "convert writes the file and its parts, and nothing else",
                f"'{strange[0]}' beside {path.name}",
                "List it in `parts`, or remove it.",
            )
        path = subject.copy(precision, "contract")
        metadata = subject.metadata(precision)
        subject.exporter.write_metadata(path, metadata)
        runtime = subject.exporter.load(path, 1)
        found = check_contract(
            runtime.inputs, runtime.outputs, metadata, subject.reference, model_digest(subject.model)
        )
        if found.problems:
            raise CheckError(
                f"the {precision} file keeps the contract: names, shapes and types",
                " ".join(found.problems),
                "docs/reference/exported-files.md has the contract; sizes are fixed, and the batch is free or 1.",
            )
        told.append(f"{precision} {size_bytes(files)} bytes")
    return ", ".join(told)


def check_same_bytes(subject: ExporterSubject) -> str:
    for precision in subject.exporter.precisions:
        path = subject.path(precision)
        again = subject.folder("again") / path.name
        subject.exporter.convert(subject.prepared(precision), again, precision)
        for file in subject.exporter.files(path):
            if file.read_bytes() != (again.parent / file.name).read_bytes():
                raise CheckError(
                    f"the same model gives the same {precision} file, byte for byte",
                    f"{file.name} differs",
                    "Does it contain a date, a path, a counter or an order that is not fixed?",
                )
    return f"{len(subject.exporter.precisions)} precisions"


def check_predicts(subject: ExporterSubject, precision: str) -> str:
    if precision not in subject.exporter.precisions:
        raise NothingToCheckError(f"{precision} is not offered")
    images = subject.pixels(8)
    found = subject.exporter.load(subject.path(precision), 1).predict(images)
    expected = subject.expected(precision, images)
    if found.shape != expected.shape or found.dtype != np.float32 or not np.isfinite(found).all():
        raise CheckError(
            f"predict returns finite float32 {expected.shape}",
            f"{found.dtype} {found.shape}",
            "Return one row per image, in the order of the outputs.",
        )
    difference = float(np.abs(found - expected).max())
    if difference > TOLERANCE[precision]:
        raise CheckError(
            f"a probability of the {precision} file differs from Keras by {TOLERANCE[precision]:g} at most",
            f"by {difference:.3g}",
            "Are the pixels passed on unchanged, and the outputs in the order of the model?",
        )
    off = float(np.abs(found.sum(axis=1) - 1).max())
    if off > 1e-4:
        raise CheckError(
            "the probabilities of a picture sum to 1", f"off by {off:.3g}", "Is the softmax computed in float32?"
        )
    return f"a probability differs from Keras by {difference:.2g} at most"


def check_batches(subject: ExporterSubject) -> str:
    worst = 0.0
    for precision in subject.exporter.precisions:
        runtime = subject.exporter.load(subject.path(precision), 2)
        for count in (1, 5, 2, 0, 1):
            images = subject.pixels(count, seed=count)
            found = runtime.predict(images)
            if found.shape != (count, len(LABELS)):
                raise CheckError(
                    f"predict takes any number of pictures, one after the other: {count} give ({count}, {len(LABELS)})",
                    f"{found.shape}",
                    "If the file has a batch of 1, predict one by one. For no pictures, return no rows.",
                )
            alone = [runtime.predict(image[None])[0] for image in images]
            worst = max([worst, *(float(np.abs(one - row).max()) for one, row in zip(alone, found, strict=True))])
            if worst > BATCH_TOLERANCE:
                raise CheckError(
                    f"a prediction does not depend on the other pictures of the batch, within {BATCH_TOLERANCE:g}",
                    f"{precision}: a probability differs by {worst:.3g}",
                    "Predict one by one.",
                )
    return f"batches of 0 to 5; a probability differs by {worst:.1g} at most from that of the image alone"


def check_refuses_other_pixels(subject: ExporterSubject) -> str:
    runtime = subject.exporter.load(subject.path(subject.exporter.precisions[0]), 1)
    images = subject.pixels(1)
    before = runtime.predict(images)
    others = {"float": images.astype("float32"), "without a batch": images[0], "of another size": images[:, :16]}
    for what, wrong in others.items():
        try:
            runtime.predict(wrong)
        except Exception as error:
            cause = error.__cause__ or error
            if not isinstance(cause, ValueError):
                raise CheckError(
                    "predict raises ValueError for pixels of another shape or type",
                    f"{what}: {one_line(cause)}",
                    "Check dtype and shape first, and state what is expected.",
                ) from error
        else:
            raise CheckError(
                f"predict refuses pixels other than uint8 (n, {IMAGE.height_px}, {IMAGE.width_px}, 3)",
                f"{what}: it predicts",
                "Check dtype and shape first. Converted pixels are not the verified ones.",
            )
    if not np.array_equal(runtime.predict(images), before):
        raise CheckError("a refusal changes no later prediction", "another prediction", "Refuse before anything else.")
    return f"{len(others)} kinds are refused, and later predictions are unchanged"


def check_float16(subject: ExporterSubject) -> str:
    if "float16" not in subject.exporter.precisions:
        raise NothingToCheckError("float16 is not offered")
    if problem := stored_problem(subject.exporter, subject.path("float16"), "float16", subject.model):
        raise CheckError(
            "the float16 file stores large tensors in 16 bits",
            problem,
            "Convert large tensors to float16 when the file is written.",
        )
    return f"{size_bytes(subject.exporter.files(subject.path('float16')))} bytes"


def check_int8(subject: ExporterSubject) -> str:
    if "int8" not in subject.exporter.precisions:
        raise NothingToCheckError("int8 is not offered")
    path = subject.path("int8")
    if problem := stored_problem(subject.exporter, path, "int8", subject.model):
        raise CheckError("the int8 file stores its weights in 8 bits", problem, "Quantise the kernels per channel.")
    steps = subject.exporter.load(path, 1).predict(subject.pixels(8)) * 256
    if np.abs(steps - steps.round()).max() < 0.01:
        raise CheckError(
            "probabilities are computed in float: nothing after the last FakeQuantize is rounded",
            "all are multiples of 1/256",
            "Keep the softmax, and every tensor that is not followed by a FakeQuantize layer, in float32.",
        )
    unprepared = subject.folder("unprepared") / path.name
    try:
        subject.exporter.convert(subject.folded, unprepared, "int8")
    except ExportError:
        left = [file.name for file in unprepared.parent.iterdir()]
        if not left:
            return "weights in 8 bits, softmax in float, and an unprepared model is refused"
        seen = f"refused, and '{left[0]}' is left"
    else:
        seen = "it is converted"
    raise CheckError(
        "a model without FakeQuantize layers is refused for int8 with an ExportError, and no file is left",
        seen,
        "Check for FakeQuantize layers before anything is written. Otherwise a float32 file would be called int8.",
    )
