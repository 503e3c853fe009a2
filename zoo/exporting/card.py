"""``README.md`` of a bundle: description, accuracy and usage of the model."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from zoo import __version__
from zoo.atomic import write_text
from zoo.data.card import markdown_text
from zoo.evaluation.metric import defined
from zoo.exporting.runner import requirements
from zoo.figures import percent
from zoo.parity.text import gate_figures, gate_interval, gate_name, thin_evidence
from zoo.run_folder import Run

if TYPE_CHECKING:
    from zoo.exporting.bundle import Contents

_MOST_LABELS = 30


def write_card(path: Path, contents: Contents) -> None:
    """Writes the model card of a bundle to a file."""
    metadata = contents.metadata
    parts = [
        f"# {markdown_text(metadata.architecture)}, {contents.exporter.name}, {metadata.precision}",
        _about(contents),
        f"## Run\n\n{_manual(contents)}",
        contents.exporter.notes.get(metadata.precision, ""),
        training_figures(contents.trained.run),
        _verification(contents),
        _unknown(contents),
        _photos(contents),
        _licence(contents),
    ]
    write_text(path, "\n\n".join(part for part in parts if part) + "\n")


def _about(contents: Contents) -> str:
    metadata = contents.metadata
    shown = ", ".join(markdown_text(label) for label in metadata.labels[:_MOST_LABELS])
    left = len(metadata.labels) - _MOST_LABELS
    more = f" and {left} more (`labels.txt`)" if left > 0 else ""
    return (
        f"An image classifier, {len(metadata.labels)} classes: {shown}{more}.\n\n"
        f"{_files(contents)} was made from {markdown_text(metadata.source)} by keras-edge-zoo {__version__}. "
        f"The preprocessing of images is: {metadata.image}. Programs can read all of this from `spec.json`."
    )


def _files(contents: Contents) -> str:
    file, *parts = (f"`{path.name}`" for path in contents.exporter.files(contents.file))
    return f"{file}, together with {', '.join(parts)}," if parts else file


def _manual(contents: Contents) -> str:
    exporter = contents.exporter
    if exporter.app:
        return exporter.app.manual
    if not exporter.runtime_module:
        return f"""The format {exporter.name} has no runner. To check your own program, use `golden/`, which contains
images, their expected pixels after decoding and resizing, and the expected predictions."""
    return f"""The runner needs Python 3.11 or later, on a system for which the packages below have wheels:

```console
$ python3 -m venv venv && venv/bin/pip install -r requirements.txt
$ venv/bin/python run.py photo.jpg
$ venv/bin/python run.py --selftest        # does the model predict correctly on this device?
$ venv/bin/python run.py --serve 8080      # then: curl --data-binary @photo.jpg http://127.0.0.1:8080/
$ venv/bin/python run.py --help            # folders, JSON, a watched folder, a camera
```

To run it as a service, use `image-classifier.service` for systemd, or `Dockerfile` for a container, on x86-64 or 64-bit
ARM. The comments at the top of each list the commands.

`requirements.txt`: {", ".join(requirements(contents.exporter))}. TensorFlow and Keras are not needed.
For HEIC photos, which iPhones save, also install `pi-heif`."""


def training_figures(run: Run | None) -> str:
    """The section on the training run: its data and metrics. Empty without a finished run."""
    if run is None or not run.finished:
        return ""
    metrics, data = run.metrics, run.info.data
    words = {"train": "training", "val": "validation", "test": "test"}
    counts = ", ".join(f"{sum(data.counts.get(split, {}).values())} {word} images" for split, word in words.items())
    others = "\n".join(f"| {metric.title} | {metric.format(value)} |" for metric, value in defined(metrics))
    accuracy, low, high = map(percent, (metrics.accuracy, *metrics.accuracy_interval))
    return f"""## Training

| | |
|---|---|
| data | {markdown_text(PurePath(data.source).name)}: {counts} |
| accuracy on the {metrics.n} test images | {accuracy} (95 % interval {low} to {high}) |
{others}
| always predicting the most frequent class | {percent(metrics.majority_class_baseline or 0.0)} |

These are the figures of the trained model on photos from the same source as its training photos. On other photos, the
accuracy may be lower."""


def _verification(contents: Contents) -> str:
    found = contents.verification
    if found is None:
        return (
            "## Verification\n\n**Not verified**: this file was not compared with the model from which it was exported."
        )
    rows = [
        f"| {gate_name(gate)} | {value} | {gate_interval(gate) or '-'} | {limit} |"
        for gate in found.gates
        for value, limit in (gate_figures(gate),)
    ]
    accuracy = ""
    if found.values:
        ours, keras = found.values.file.accuracy, found.values.keras.accuracy
        accuracy = f" The accuracy of the file on them is {percent(ours)}, that of Keras {percent(keras)}."
    if found.map:
        accuracy += f" Evidence map: {found.map.summary}."
    table = "\n".join(["| | measured | 95 % interval | allowed |", "|---|---|---|---|", *rows])
    warnings = "".join(f"\n\n**Warning: {markdown_text(sentence)}**" for sentence in found.warnings)
    thin = "".join(f"\n\n**{sentence}**" for sentence in thin_evidence(found))
    return f"""## Verification

The predictions of this file and of the model from which it was exported were compared on {found.n}
{markdown_text(found.split)} images of {markdown_text(found.data)}, starting from the image files.{accuracy}{warnings}

{table}{thin}

The complete results are in `verify.json` and `verify.html`."""


def _unknown(contents: Contents) -> str:
    values = contents.verification.values if contents.verification else None
    found = values.file.min_confidence if values else None
    if not found:
        return ""
    points = {point["target_accuracy"]: point for point in (found, *found["curve"])}
    rows = [
        f"| {percent(target)} | {percent(point['suggested'])} | {percent(point['coverage'])} | "
        f"{'-' if point['accuracy'] is None else percent(point['accuracy'])} |"
        for target, point in sorted(points.items())
    ]
    chose = {
        "val": "The thresholds were chosen on validation images",
        "folds": "The thresholds were chosen on training images, each predicted by a model that was not trained on it",
    }.get(found["chosen_on"], "The thresholds for each half of the images were chosen on the other half")
    others = sorted(point["target_accuracy"] for point in found["curve"])
    other = f" `--min-confidence accuracy={others[-1]:g}` uses the threshold for that accuracy." if others else ""
    table = "\n".join(["| target accuracy | threshold | predicted | accuracy of these |", "|---|---|---|---|", *rows])
    return f"""## Unknown images

If the confidence is below a threshold, the prediction should be "unknown". {chose}.
The table shows the results on the {found["images"]} images of the verification:

{table}

`--min-confidence auto` uses the threshold {percent(found["suggested"])}.{other}"""


def _photos(contents: Contents) -> str:
    if not contents.photos:
        return "## Photos\n\n`golden/` contains only drawn images. This bundle contains no photos."
    names = ", ".join(f"`golden/{photo.name}`" for photo in contents.photos)
    return f"""## Photos

**This bundle contains photos from its verification**: {names}. They are unmodified copies, including what cameras write
into files, such as place and time. `verify.html` also shows the photos with different predictions. Make sure that you
may distribute them. `zoo export --no-photos` omits them."""


def _licence(contents: Contents) -> str:
    app = contents.exporter.app
    others = f" {app.licence}" if app and app.licence else ""
    return f"""## Licence

The program that runs the model is part of keras-edge-zoo, Apache-2.0 (`LICENSE`).{others}

The model belongs to the person who trained it. If the training started from pretrained weights, their licence applies
too: see `NOTICE`, or the licence of the plugin that contains them."""
