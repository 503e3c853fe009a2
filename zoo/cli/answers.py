"""How ``zoo predict`` shows predictions: as a growing table, plain lines or JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from zoo.errors import DataError
from zoo.figures import percent
from zoo.table import Column, Layout, terminal_width, width_of
from zoo.terminal import readable

if TYPE_CHECKING:
    from zoo.edge.classify import Answer

    #: Called with the name of a file and its prediction.
    Show = Callable[[str, Answer], None]


def counted(pictures: Sequence[str]) -> tuple[int, str]:
    """Number of images, and the widest file name. The images are counted and not kept, so memory use is constant."""
    from zoo.images import ImageError
    from zoo.predicting.photos import pictures_of

    total, usable, widest = 0, 0, ""
    for argument in pictures:
        # Standard input can be read only once.
        for name, picture in [("-", b"")] if argument == "-" else pictures_of([argument]):
            total += 1
            usable += not isinstance(picture, ImageError)
            widest = max(widest, readable(name), key=width_of)
    if not usable:
        raise DataError(f"There are no images in {', '.join(pictures)}.", "Hidden files and folders are left out.")
    return total, widest


def answers_shown(as_json: bool, top: int, widest: str, labels: Sequence[str], says_known: bool) -> Show:
    """Returns a function that shows each prediction as soon as it is made.

    Args:
        as_json: Whether to print one line of JSON per image.
        top: Number of classes shown per image.
        widest: The widest file name.
        labels: All class names.
        says_known: Whether there is a confidence threshold, so that a prediction may be "unknown".
    """
    from zoo.edge import wording

    # While a progress bar is drawn, `sys.stdout` is redirected to it.
    stream = sys.stdout

    def say(text: str) -> None:
        print(text, file=stream, flush=True)

    if as_json:
        return lambda name, answer: say(wording.as_json(name, answer))
    if stream.isatty():
        return _table(say, widest, labels, top, says_known)
    return lambda name, answer: say(wording.as_text(name, answer))


def _table(say: Callable[[str], None], widest: str, labels: Sequence[str], top: int, says_known: bool) -> Show:
    """A table whose rows appear one by one. The column widths are known beforehand."""
    likely = [Column("next best", "name", 1)] if top > 1 or says_known else []
    columns = (Column("file", "name"), Column("label", "name"), Column("confidence"), *likely)
    names = [*map(readable, labels), *(["unknown"] if says_known else [])]
    others = [" ".join(f"{name} 100.0 %," for name in names)]
    layout = Layout(columns, [[widest], names, ["100.0 %"], *([others] if likely else [])], terminal_width())

    def line(*cells: str) -> None:
        for text in layout.row([readable(cell) for cell in cells]):
            say(text)

    def show(name: str, answer: Answer) -> None:
        shares = [f"{label} {percent(share)}" for label, share in answer.top]
        if answer.known:
            line(name, answer.label, percent(answer.probability), ", ".join(shares[1:]))
        else:
            line(name, "unknown", "", ", ".join(shares))

    for text in (*layout.footing(), *layout.heading()):
        say(text)
    return show
