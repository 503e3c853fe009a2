"""The page's sections on how good the model is and where it fails, in the order a practitioner asks."""

from __future__ import annotations

from pathlib import Path

from zoo.edge.explanation import Explanation
from zoo.evaluation.metric import defined
from zoo.report import plots
from zoo.report.evidence import Evidence, overlay_alt
from zoo.report.findings import Findings
from zoo.report.grids import Picture
from zoo.report.markup import Column, bar, beside, chart, esc, facts, name, section, table, tile, tiles
from zoo.report.markup import key_figures as figures
from zoo.report.text import ABSENT, duration, magnitude, number, percent, plural, thousands, unbroken
from zoo.run_folder.info import Metrics


def verdict(findings: Findings) -> str:
    """Accuracy with its interval against always predicting the commonest class of the images; the weakest class."""
    metrics = findings.metrics
    low, high = metrics.accuracy_interval
    sentence = (
        f"{name(findings.run.architecture)} is right on <strong>{percent(metrics.accuracy)}</strong> of "
        f"{plural(metrics.n, 'test image')} (95&nbsp;% interval {percent(low)} to {percent(high)})"
    )
    most = name(metrics.majority_class)
    always = f"the {percent(metrics.majority_class_baseline)} of always predicting “{most}”, their commonest class"
    standing = metrics.against_baseline
    if standing is None:
        said = f"{sentence}."
    elif standing == "better":
        said = f"{sentence}, clearly more than {always}."
    elif standing == "worse":
        said = f"{sentence}, less than {always}: something is wrong."
    else:
        said = f"{sentence}. <b>This result cannot be told from</b> {always}."
    weakest = metrics.weakest_class
    return said + (f" Weakest class: {name(weakest.label)}, {weakest.found}." if weakest else "")


def scale(findings: Findings) -> str:
    """The same as a picture: a line from 0 to 100 % with accuracy, interval and baseline on it."""
    metrics = findings.metrics
    low, high = metrics.accuracy_interval
    baseline = metrics.majority_class_baseline
    mark = "" if baseline is None else f'<i class="baseline" style="--at:{baseline:.4f}"></i>'
    key = "" if baseline is None else '<span class="key baseline">always their commonest class</span>'
    return (
        '<div class="scale" aria-hidden="true"><div class="track">'
        f'<i class="interval" style="--at:{low:.4f};--to:{high:.4f}"></i>{mark}'
        f'<i class="point" style="--at:{metrics.accuracy:.4f}"></i></div>'
        '<div class="ends"><span>0&nbsp;%</span><span>100&nbsp;%</span></div>'
        f'<p><span class="key point">accuracy</span><span class="key interval">95&nbsp;% interval</span>{key}</p></div>'
    )


def key_figures(findings: Findings) -> str:
    """Tiles with the figures that everybody looks for."""
    metrics, info = findings.metrics, findings.run.info
    right = round(metrics.accuracy * metrics.n)
    shown = [
        ("Accuracy", percent(metrics.accuracy), f"{thousands(right)} of {plural(metrics.n, 'test image')}"),
        *(
            (esc(metric.title[0].upper() + metric.title[1:]), esc(unbroken(metric.format(value))), esc(metric.meaning))
            for metric, value in defined(metrics)
            if not metric.of_probabilities
        ),
        ("Parameters", magnitude(info.parameters), esc(info.precision)),
        ("Training time", duration(info.timings.get("train_s")), _epochs(findings)),
    ]
    return figures((title, value, note) for title, value, note in shown if value != ABSENT)


def _epochs(findings: Findings) -> str:
    epochs = max((len(column) for column in findings.history.values()), default=0)
    best = findings.run.info.best_epoch
    kept = f", the best was {best}" if best else ""
    return f"{plural(epochs, 'epoch')}{kept}" if epochs else ""


def mistakes(findings: Findings, found: Evidence | None) -> str:
    """The gallery of wrong answers, the most confident first, each beside the evidence for it."""
    looked_at = found.wrong if found else {}
    if not findings.mistakes:
        said = f"<p>Nothing: all {plural(findings.metrics.n, 'test image')} were answered rightly.</p>"
        return section("mistakes", "What went wrong", said)
    spec = findings.run.image_spec
    left = findings.mistakes_in_all - len(findings.mistakes)
    more = f" The {thousands(left)} less confident ones are in <code>predictions.csv</code>." if left else ""
    if looked_at:
        more += " Beside each is the evidence for the wrong class, in colour."
    intro = (
        f"<p>{plural(findings.mistakes_in_all, 'wrong answer')}, the most confident first, as the model saw them "
        f"({esc(spec)}).{more}</p>"
    )
    gallery = tiles(
        (
            tile(
                item.picture,
                f"{item.file}: {item.true} predicted as {item.predicted}",
                f"<b>{name(item.predicted)}</b> <span class='confidence'>{percent(item.confidence, 0)}</span>",
                f"is {name(item.true)}",
                f"<span class='file'>{name(item.file)}</span>",
                beside=_overlay(looked_at.get(item.file)),
                anchor=f"wrong-{place}",
            )
            for place, item in enumerate(findings.mistakes)
        ),
        "mistakes pairs" if looked_at else "mistakes",
    )
    return section("mistakes", "What went wrong", intro, gallery)


def _overlay(found: Explanation | None) -> tuple[Picture, str] | None:
    return None if found is None else (found.overlay, overlay_alt(found))


def per_class(findings: Findings) -> str:
    """Precision, recall and F1 of each class, the weakest first."""
    rows = sorted(findings.metrics.per_class, key=lambda row: 2.0 if row.f1 is None else row.f1)
    untested = sum(row.f1 is None for row in rows)
    columns = (
        Column("Class", figures=False),
        Column("Recall", "Share of the images of this class that are found"),
        Column("Precision", "Share of the answers with this class that are right"),
        Column("F1", "Harmonic mean of precision and recall"),
        Column("Test images", "Images of this class in the test split"),
        Column("Training images", "Images of this class it was trained on"),
    )
    cells = (
        (
            name(row.label),
            bar(row.recall, percent(row.recall)) + f"<span class='below'>{row.found}</span>" * bool(row.support),
            bar(row.precision, percent(row.precision)),
            number(row.f1),
            thousands(row.support),
            thousands(row.train_images),
        )
        for row in rows
    )
    note = (
        "<p><b>Recall</b>: of the images of a class, how many are found. <b>Precision</b>: of the answers with a "
        "class, how many are right. The weakest class comes first."
        + (f" {plural(untested, 'class')} without test images cannot be judged." if untested else "")
        + "</p>"
    )
    figures = table("Figures of each class", columns, cells, quiet=True)
    return section("classes", "Class by class", note, figures) if rows else ""


def confusion(findings: Findings, folder: Path) -> str:
    """The confusion matrix, and beside it the pairs that are confused most often."""
    matrix, labels = findings.metrics.confusion_matrix, findings.run.labels
    if not matrix:
        return ""
    pairs = findings.metrics.most_confused or ()
    worst = "; ".join(f"{pair.true} predicted as {pair.predicted} {pair.count} times" for pair in pairs[:3])
    figure = chart(
        lambda target, theme: plots.plot_confusion(matrix, labels, target, theme=theme),
        f"Confusion matrix of {len(labels)} classes. {worst or 'No image is confused'}.",
        "Rows are the true classes, columns the predictions: right ones are blue, wrong ones orange. The shading is "
        "the share of the row" + (", its square root, so that single mistakes show." if len(labels) > 25 else "."),
        folder / "confusion_matrix.png",
        narrow=lambda target, theme: plots.plot_confusion(matrix, labels, target, theme=theme, narrow=True),
    )
    return section("confusion", "Confusion matrix", beside(figure, _confused(findings), len(labels) <= 12))


def _confused(findings: Findings) -> str:
    pairs = findings.metrics.most_confused or ()
    if len(findings.run.labels) < 3 or not pairs:
        return ""
    columns = (Column("True class", figures=False), Column("Predicted as", figures=False), Column("Times"))
    rows = [(name(pair.true), name(pair.predicted), thousands(pair.count)) for pair in pairs]
    return table("Confused most often", columns, rows[:10])


def calibration(findings: Findings, folder: Path) -> str:
    """How far the probabilities can be trusted."""
    metrics = findings.metrics
    measured = [
        (esc(metric.title), f"{esc(unbroken(metric.format(value)))} ({esc(metric.meaning)})")
        for metric, value in defined(metrics)
        if metric.of_probabilities
    ]
    bins, error = metrics.calibration_bins, metrics.expected_calibration_error
    if not bins or error is None:
        return ""
    figure = chart(
        lambda target, theme: plots.plot_reliability(bins, error, target, theme=theme),
        f"Reliability diagram; expected calibration error {percent(error)}.",
        file=folder / "reliability.png",
    )
    meaning = (
        "<p>When the model says 90&nbsp;%, is it right nine times in ten? Bars that end on the dashed line say yes; "
        "those above it are right more often than the model claims, those below less often.</p>"
        "<p>The lower chart counts the images. Bars from few images have wide intervals and mean little.</p>"
    )
    shown = facts("Figures of the probabilities", measured) if measured else ""
    text = f"{shown}<p>{_mood(metrics)}</p>{meaning}{_scaled(findings)}{_unknown(findings)}"
    return section("calibration", "Log loss and calibration", beside(figure, f"<div>{text}</div>"))


def _mood(metrics: Metrics) -> str:
    """Whether it is too sure, or not sure enough; only where chance alone would not say the same."""
    low, high = metrics.accuracy_interval
    mean = metrics.mean_confidence
    figures = (
        f"mean confidence {percent(mean)}, accuracy {percent(metrics.accuracy)} "
        f"(95&nbsp;% interval {percent(low)} to {percent(high)})"
    )
    if low <= mean <= high:
        return f"On average, {plural(metrics.n, 'test image')} show it neither too sure nor too unsure: {figures}."
    return f"On average it is {'too sure of itself' if mean > high else 'less sure than it could be'}: {figures}."


def _scaled(findings: Findings) -> str:
    temperature = findings.run.info.temperature
    if not temperature:
        return ""
    return (
        f"<p>Its logits were divided by {temperature:.2f}, which the validation images suggested: above 1 the model "
        "had been too sure of itself, below 1 not sure enough. No answer changes by that.</p>"
    )


def _unknown(findings: Findings) -> str:
    found = findings.metrics.min_confidence
    if not found:
        return ""
    chose = {
        "val": f"{thousands(found.chosen_images)} validation images chose these thresholds. They also chose the "
        "epoch and the temperature; the test images only measured.",
        "folds": f"{thousands(found.chosen_images)} training images chose these thresholds, each by a head that it did "
        "not train, in cross-validation; the test images only measured.",
        "halves": "Each half of the test images chose the thresholds for the other half.",
    }.get(found.chosen_on, "The test images chose this threshold, so its figures flatter.")  # of older runs
    columns = (Column("Accuracy wanted"), Column("Threshold"), Column("Answered"), Column("Right of these"))
    points = sorted([found, *found.curve], key=lambda point: point.target_accuracy)
    rows = [
        tuple(map(percent, (point.target_accuracy, point.suggested, point.coverage, point.accuracy)))
        for point in {point.target_accuracy: point for point in points}.values()
    ]
    return (
        f"<p>With at least {percent(found.suggested)} an answer was right {percent(found.accuracy)} of the time; "
        f"{percent(found.coverage)} of these {thousands(found.images)} images got one. Below that, "
        "<code>zoo predict --min-confidence auto</code> says that it does not know; <code>accuracy=0.98</code> takes "
        f"another row. {chose}</p>" + table("Thresholds of confidence", columns, rows, quiet=True)
    )
