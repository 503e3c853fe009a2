"""Classes that are mirror images of each other according to their names, such as ``turn_left`` and ``turn_right``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import combinations

from zoo.training.mirroring.way import Way

#: Words for left and right, without accents, in several languages.
_SIDES = """
left right  lefts rights  leftward rightward  leftwards rightwards  lefthand righthand  l r  lt rt  lhs rhs
port starboard  clockwise counterclockwise  clockwise anticlockwise  cw ccw
links rechts  linke rechte  linker rechter  linkes rechtes  linken rechten
gauche droite  gauche droit  izquierda derecha  izquierdo derecho  izq der  esquerda direita  esquerdo direito
sinistra destra  sinistro destro  esquerra dreta  stânga dreapta  vänster höger  venstre høyre  venstre højre
vasen oikea  lewo prawo  lewy prawy  lewa prawa  vlevo vpravo  levý pravý  levo desno  lijevo desno
bal jobb  sol sağ  kiri kanan  trái phải  hidari migi  zuo you
лево право  левый правый  налево направо  влево вправо  слева справа  лівий правий
αριστερά δεξιά  左 右  왼쪽 오른쪽  يسار يمين  ซ้าย ขวา  שמאל ימין
"""

#: Words for up and down.
_HEIGHTS = """
up down  top bottom  upper lower  upward downward  upwards downwards  above below  upright inverted
oben unten  hoch runter  auf ab  haut bas  arriba abajo  cima baixo  su giù  sopra sotto  boven onder
вверх вниз  上 下  위 아래
"""

#: Letters and digits that mirroring turns into each other. The whole name of the class must be one of them.
_SHAPES: dict[Way, tuple[tuple[str, str], ...]] = {
    "horizontal": (("b", "d"), ("p", "q")),
    "vertical": (("b", "p"), ("d", "q"), ("m", "w"), ("u", "n"), ("6", "9")),
    "turn": (("b", "q"), ("d", "p"), ("m", "w"), ("u", "n"), ("6", "9")),
}

#: Words of languages without spaces, which are found anywhere in a name.
_ALONE = "左右上下"


def named_swap(labels: Sequence[str], way: Way) -> tuple[str, str] | None:
    """The first two classes whose names differ only in a word and its opposite.

    >>> named_swap(["turn_left", "turn_right"], "horizontal")
    ('turn_left', 'turn_right')
    >>> named_swap(["bright", "left"], "horizontal")
    """
    swaps = _SWAPS[way]
    words = [_words(label) for label in labels]
    known = {word for pair in swaps for word in pair}
    candidates = [(label, found) for label, found in zip(labels, words, strict=True) if known & set(found)]
    for (label, found), (other, others) in combinations(candidates, 2):
        differing = [{one, two} for one, two in zip(found, others, strict=False) if one != two]
        if len(found) == len(others) and differing and all(pair in swaps for pair in differing):
            return label, other
    lowered = {label.strip().casefold(): label for label in labels}
    return next(((lowered[one], lowered[two]) for one, two in _SHAPES[way] if one in lowered and two in lowered), None)


def _words(label: str) -> list[str]:
    """The words of a name, lower case and without accents: ``TurnLeft-2`` is ``turn``, ``left``, ``2``."""
    plain = "".join(c for c in unicodedata.normalize("NFD", label) if unicodedata.category(c) != "Mn")
    apart = re.sub(f"([{_ALONE}])", r" \1 ", re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])", " ", plain))
    return re.findall(r"[^\W\d_]+|\d+", apart.casefold())


def _pairs(text: str) -> Iterable[frozenset[str]]:
    for line in text.strip().splitlines():
        for pair in line.split("  "):
            if pair.strip():
                yield frozenset(word for part in pair.split() for word in _words(part))


_SWAPS: dict[Way, set[frozenset[str]]] = {"horizontal": set(_pairs(_SIDES)), "vertical": set(_pairs(_HEIGHTS))}
_SWAPS["turn"] = _SWAPS["horizontal"] | _SWAPS["vertical"]
