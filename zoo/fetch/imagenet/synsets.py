"""Resolves ImageNet classes from WordNet IDs, or from class names of installed pretrained weights."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from zoo.errors import UsageError, ZooError
from zoo.fetch.names import folded
from zoo.registry import architectures

WNID = re.compile(r"n[0-9]{8}")


def known_synsets() -> dict[str, str]:
    """Class names by WordNet ID, from all pretrained weights that contain both."""
    found: dict[str, str] = {}
    for offer in architectures():
        for weights in offer.record.weights:
            try:
                aliases = weights.aliases()
            except ZooError:
                continue  # a broken plugin does not affect the others
            for wnid, name in aliases.items():
                if WNID.fullmatch(wnid):
                    found.setdefault(wnid, name)
    return found


def resolve_synsets(asked: Sequence[str], there: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """Class names by WordNet ID, in the requested order.

    Args:
        asked: Requested IDs and names; case is ignored.
        there: IDs in the copy.
        known: Class names by ID.

    Raises:
        UsageError: A name is unknown or ambiguous, or the copy does not contain the class.
    """
    held = set(there)
    found: dict[str, str] = {}
    for text in asked:
        wnid = _resolve(text.strip(), known)
        if wnid not in held:
            name = f" ({known[wnid]})" if wnid in known else ""
            raise UsageError(
                f"The copy does not contain {wnid}{name}.",
                f"It contains {len(held)} classes: {', '.join(sorted(held)[:8])}{', ...' if len(held) > 8 else ''}.",
            )
        found[wnid] = known.get(wnid, wnid)
    return found


def _resolve(text: str, known: Mapping[str, str]) -> str:
    if WNID.fullmatch(text.lower()):
        return text.lower()
    words = folded(text).split()
    same = {wnid: name for wnid, name in known.items() if folded(name).split() == words}
    # "crane" is a bird and a machine, "maillot" is a pair of tights and a tank suit.
    longer = {wnid: name for wnid, name in known.items() if folded(name).split()[: len(words)] == words}
    if len(same) == 1:
        return next(iter(same))
    if len(same or longer) > 1:
        meanings = " or ".join(f"'{name}' ({wnid})" for wnid, name in sorted((same or longer).items()))
        raise UsageError(f"'{text}' may be {meanings}.", "Give the ID, or the full name.")
    names = {folded(name): name for name in known.values()}
    near = difflib.get_close_matches(folded(text), names, n=3, cutoff=0.6)
    guesses = [*longer.values(), *(names[fold] for fold in near if names[fold] not in longer.values())]
    guess = f" Did you mean {' or '.join(map(repr, guesses))}?" if guesses else ""
    raise UsageError(
        f"ImageNet has no class '{text}'.{guess}",
        f"{len(known)} names are known. An ID such as n04118538 always works."
        if known
        else "No installed weights contain class names. Give IDs such as n04118538.",
    )
