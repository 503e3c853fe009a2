"""``README.md`` of a bundle: description, accuracy and usage of the model. See ``templates/card.md.jinja``."""

from __future__ import annotations

from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from zoo import __version__
from zoo.atomic import write_text
from zoo.data.card import markdown_text
from zoo.evaluation.metric import defined
from zoo.exporting.runner import requirements
from zoo.figures import percent
from zoo.parity.text import float_operators_text, gate_figures, gate_interval, gate_name, thin_evidence

if TYPE_CHECKING:
    import jinja2

    from zoo.exporting.bundle import Contents

_MOST_LABELS = 30
_SPLITS = {"train": "training", "val": "validation", "test": "test"}


def write_card(path: Path, contents: Contents) -> None:
    """Writes the model card of a bundle to a file."""
    write_text(path, card(contents))


def card(contents: Contents) -> str:
    """The model card of a bundle, in Markdown."""
    run, found = contents.trained.run, contents.verification
    finished = run if run is not None and run.finished else None
    file, *parts = (path.name for path in contents.exporter.files(contents.file))
    values = found.values if found else None
    unknown = values.file.min_confidence if values else None
    points = {point["target_accuracy"]: point for point in (unknown, *unknown["curve"])} if unknown else {}
    return _template().render(
        metadata=contents.metadata,
        exporter=contents.exporter,
        zoo_version=__version__,
        most_labels=_MOST_LABELS,
        file=file,
        parts=parts,
        requirements=requirements(contents.exporter) if contents.exporter.runtime_module else (),
        metrics=finished.metrics if finished else None,
        measured=list(defined(finished.metrics)) if finished else (),
        data_name=PurePath(finished.info.data.source).name if finished else "",
        counts=[
            f"{sum(finished.info.data.counts.get(split, {}).values()) if finished else 0} {word} images"
            for split, word in _SPLITS.items()
        ],
        float_operators=float_operators_text(contents.quantization),
        found=found,
        gates=[(gate, gate_figures(gate)) for gate in found.gates] if found else (),
        thin=thin_evidence(found) if found else (),
        unknown=unknown,
        points=sorted(points.items()),
        photos=contents.photos,
    )


@cache
def _template() -> jinja2.Template:
    """The template. Every value is escaped for Markdown, unless it is marked as Markdown."""
    import jinja2
    from markupsafe import Markup

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("zoo.exporting"),
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else markdown_text(value),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "code": lambda name: Markup(f"`{name}`"),
        "markdown": Markup,
        "percent": percent,
        "gate_name": gate_name,
        "gate_interval": gate_interval,
    }
    return made.get_template("card.md.jinja")
