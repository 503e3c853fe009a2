"""Writes the part of a download in ``dataset.md`` next to the images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from zoo.data.card import CARD_NAME, CardPart, write_card
from zoo.fetch.folder import ImageFolder


def write_record(folder: ImageFolder, command: str, notes: Sequence[str]) -> None:
    """Writes the sources and licences of all images that were downloaded into the folder, now or earlier.

    Args:
        folder: The folder of the images.
        command: The command line.
        notes: Sentences for the reader.
    """
    credits = folder.credits
    licences = Counter(credit["licence"] or "not known" for credit in credits)
    part = CardPart(
        key="fetch",
        title="Sources of the images",
        command=command,
        sources=Counter(credit["source"] or "not known" for credit in credits).most_common(),
        counts={"": Counter(credit["label"] for credit in credits)},
        licences=licences if set(licences) != {"not known"} else {},
        notes=[*notes, "Source, licence and author of each image: attribution.csv."],
    )
    with folder.writing(CARD_NAME):
        write_card(folder.root, part)
