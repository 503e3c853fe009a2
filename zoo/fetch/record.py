"""What a fetch leaves beside the images: its part of ``dataset.md``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from zoo.data.card import CARD_NAME, CardPart, write_card
from zoo.fetch.folder import ImageFolder


def write_record(folder: ImageFolder, command: str, notes: Sequence[str]) -> None:
    """Writes what is known of all images that this and earlier fetches brought into the folder.

    Args:
        folder: Filled.
        command: The command line.
        notes: Sentences for the reader.
    """
    credits = folder.credits
    licences = Counter(credit["licence"] or "not known" for credit in credits)
    part = CardPart(
        key="fetch",
        title="Where the images come from",
        command=command,
        sources=Counter(credit["source"] or "not known" for credit in credits).most_common(),
        counts={"": Counter(credit["label"] for credit in credits)},
        licences=licences if set(licences) != {"not known"} else {},
        notes=[*notes, "Source, licence and author of each image: attribution.csv."],
    )
    with folder.writing(CARD_NAME):
        write_card(folder.root, part)
