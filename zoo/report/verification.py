"""A verification on one page that needs no network, no script and no other file: the proof, to go with the model."""

from __future__ import annotations

from pathlib import Path

from zoo.figures import points
from zoo.images import ImageError, load_image
from zoo.parity import Verification
from zoo.parity.gates import GateResult
from zoo.parity.text import gate_figures, gate_interval, gate_name, thin_evidence
from zoo.parity.values import DECADES, Flip
from zoo.report.grids import Picture
from zoo.report.markup import Column, bar, esc, key_figures, name, section, table, tile, tiles, warnings_section
from zoo.report.page import write_page
from zoo.report.provenance import contract, provenance
from zoo.report.text import number, percent, plural, thousands

#: Flipped images that the page shows, those with the largest margins.
MOST_FLIPS = 48


def write_verification_page(verification: Verification, root: Path | None, path: Path) -> Path:
    """Writes the page on a verification.

    Args:
        verification: What was found.
        root: The folder that the names of its images are relative to; ``None``: no picture may be shown. A picture
            that is gone shows as a placeholder.
        path: Of the page.

    Returns:
        ``path``.

    Raises:
        TrainingError: The disk is full, or the folder cannot be written.
    """
    parts = (
        _failures(verification),
        warnings_section(verification.warnings),
        _gates(verification),
        _flips(verification, root),
        _both(verification),
        _differences(verification),
        _classes(verification),
        contract(verification),
        provenance(verification),
    )
    write_page(
        path,
        title=f"{verification.file} against {verification.reference}",
        heading=f"{name(verification.file)} <span>against</span> {name(verification.reference)}",
        run=f"{esc(verification.format)}, {esc(verification.precision)}, {thousands(verification.file_bytes)} bytes",
        verdict=_verdict(verification),
        key_figures=_key_figures(verification),
        sections=parts,
    )
    return path


def _verdict(found: Verification) -> str:
    values = found.values
    failed = '<strong class="failed">Not verified</strong>, for the reasons below'
    passed = "Passed on thin evidence" if found.thin else "Verified"
    word = f"<strong>{passed}</strong>" if found.passed else failed
    if values is None:
        return f"{word}: no image could be asked."
    asked = plural(found.n, f"{esc(found.split)} image")
    if values.agreeing == found.n:
        said = f"the file gives {'the' if found.n == 1 else 'all'} {asked} the same class as Keras"
    else:
        said = f"the file gives {thousands(values.agreeing)} of {asked} the same class as Keras"
    if values.difference is not None:
        said += f"; their probabilities differ by {values.difference.max:.3g} at most"
    useless = '. <strong class="failed">But see the warnings below</strong>' if found.warnings else ""
    return f"{word}: {said}{useless}."


def _key_figures(found: Verification) -> str:
    values, tensor = found.values, found.tensor
    if values is None or tensor is None:
        return ""
    low, high = values.agreement_interval
    below, above = map(points, values.accuracy_difference_interval)
    pixels = "differ" if tensor.images else "the same"
    margin = f"largest margin {values.flip_margin:.3g}" if values.flips else ""
    shown = [
        ("Agreement", percent(values.agreement), f"95&nbsp;% interval {percent(low)} to {percent(high)}"),
        ("Flipped images", thousands(len(values.flips)), margin),
        ("Accuracy", percent(values.file.accuracy), f"Keras {percent(values.keras.accuracy)}"),
        (
            "Change of accuracy",
            points(values.accuracy_difference),
            f"points; 95&nbsp;% interval {below} to {above}",
        ),
        ("Pixels", pixels, f"on {thousands(tensor.images)} of {plural(found.n, 'image')}" if tensor.images else ""),
    ]
    if found.map:
        lowest = f"with Keras's, on average; lowest {found.map.lowest_similarity:.3f}"
        shown.append(("Correlation of the maps", f"{found.map.mean_similarity:.3f}", lowest))
    if values.difference:
        average = f"on average {values.difference.mean:.3g}"
        shown.insert(1, ("Largest difference", f"{values.difference.max:.3g}", f"of a probability; {average}"))
    return key_figures(shown)


def _failures(found: Verification) -> str:
    reasons = "".join(f"<li>{esc(sentence)}</li>" for sentence in found.failures)
    return section("failures", "Why it fails", f"<ul>{reasons}</ul>") if reasons else ""


def _gates(found: Verification) -> str:
    columns = (
        Column("Gate", figures=False),
        Column("Result", figures=False),
        Column("Value"),
        Column("95 % interval", "Of the true value, as far as so many images tell"),
        Column("Limit"),
    )
    rows = [_gate(gate) for gate in found.gates]
    note = f"<p>What a file of precision {esc(found.precision)} must keep.</p>"
    note += "".join(f"<p>{esc(sentence)}</p>" for sentence in thin_evidence(found))
    return section("gates", "Gates", note, table("Gates", columns, rows, quiet=True)) if rows else ""


def _gate(gate: GateResult) -> tuple[str, ...]:
    value, limit = gate_figures(gate)
    result = "passed" if gate.passed else "failed"
    said = "thin evidence" if gate.thin else result
    shown = limit.replace("<=", "≤").replace(">=", "≥")
    what = gate_name(gate)
    return (
        esc(what[0].upper() + what[1:]),
        f'<b class="{result} one-line">{said}</b>',
        esc(value),
        esc(gate_interval(gate)),
        esc(shown),
    )


def _flips(found: Verification, root: Path | None) -> str:
    if found.values is None:
        return ""
    flips = found.values.flips
    if not flips:
        return section("flips", "Answered differently", "<p>No image.</p>")
    left = len(flips) - MOST_FLIPS
    more = f" The {thousands(left)} with smaller margins are in <code>verify.json</code>." if left > 0 else ""
    intro = (
        f"<p>{plural(len(flips), 'image')}, the largest margin first, as the file saw them ({esc(found.image)}). The "
        f"margin is how much more Keras gave its own answer than the file's: near 0 it was a toss-up.{more}</p>"
    )
    gallery = tiles((_flip(flip, _picture(found, root, flip)) for flip in flips[:MOST_FLIPS]), "mistakes")
    return section("flips", "Answered differently", intro, gallery)


def _flip(flip: Flip, picture: Picture) -> str:
    return tile(
        picture,
        f"{flip.file}: a {flip.label}, {flip.keras} for Keras and {flip.answered} for the file",
        f"file <b>{name(flip.answered)}</b> <span class='confidence'>{percent(flip.confidence, 0)}</span>",
        f"Keras <b>{name(flip.keras)}</b> {percent(flip.keras_confidence, 0)}",
        f"is {name(flip.label)}, margin {flip.margin:.3g}",
        f"<span class='file'>{name(flip.file)}</span>",
    )


def _picture(found: Verification, root: Path | None, flip: Flip) -> Picture:
    if root is None:
        return None
    try:
        return load_image(root / flip.file, found.image)
    except ImageError:
        return None


def _both(found: Verification) -> str:
    values = found.values
    if values is None:
        return ""
    columns = (Column("Model", figures=False), Column("Accuracy"), Column("95 % interval"), Column("Log loss"))
    rows = [
        (
            title,
            percent(side.accuracy),
            f"{percent(side.accuracy_interval[0])} to {percent(side.accuracy_interval[1])}",
            number(side.log_loss),
            percent(side.calibration_error),
        )
        for title, side in (("Keras", values.keras), ("File", values.file))
    ]
    figures = table("Both models", (*columns, Column("Calibration error")), rows, quiet=True)
    return section("both", "How good both are", figures)


def _differences(found: Verification) -> str:
    difference = found.values.difference if found.values else None
    if difference is None:
        return ""
    ends = ["none at all", *(f"up to {end:g}" for end in DECADES[1:-1]), f"more than {DECADES[-2]:g}"]
    rows = [
        (end, bar(count / found.n, thousands(count)))
        for end, count in zip(ends, difference.counts, strict=True)
        if count
    ]
    note = (
        f"<p>Each image counts with its largest difference over the classes. Largest {difference.max:.3g} "
        f"({name(difference.worst)}), mean {difference.mean:.3g}, 99th percentile {difference.p99:.3g}.</p>"
    )
    columns = (Column("Difference", figures=False), Column("Images"))
    return section(
        "differences", "How far the probabilities are apart", note, table("Differences", columns, rows, quiet=True)
    )


def _classes(found: Verification) -> str:
    if found.values is None:
        return ""
    columns = (
        Column("Class", figures=False),
        Column("Keras", "Share of the images of this class that Keras finds"),
        Column("File", "Share of the images of this class that the file finds"),
        Column("Change", "In points"),
        Column("Images"),
    )
    rows = [
        (
            name(recall.label),
            bar(recall.keras, percent(recall.keras)),
            bar(recall.file, percent(recall.file)),
            points(recall.change),
            thousands(recall.images),
        )
        for recall in sorted(found.values.recalls, key=lambda recall: recall.change)
    ]
    note = "<p>Recall: of the images of a class, how many are found. The class that loses most comes first.</p>"
    return section("classes", "Class by class", note, table("Recall of each class", columns, rows, quiet=True))
