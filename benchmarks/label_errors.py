"""Precision and recall of the labels to look at that `zoo data check` reports.

    python benchmarks/label_errors.py DATA ...

The labels of each dataset are assumed to be correct. A share of them is changed to other classes, once for each seed:
to a random other class, or (``likely``) to the most similar other class, which is the mistake that is hardest to find.
Without changed labels, every finding is a false alarm. The last lines are the sums over all datasets.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from pathlib import PurePath

import numpy as np

from zoo.figures import percent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", help="Folders of class folders, or names of datasets.")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.02, 0.05, 0.1], help="Of the labels.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from zoo.audit.audit import read_and_compare
    from zoo.audit.duplicates import groups
    from zoo.audit.features import backbone_features, find_backbone
    from zoo.audit.suspects import held_out, label_suspects
    from zoo.backend import start_keras
    from zoo.reporter import Reporter

    offer = find_backbone()
    assert offer is not None, "no architecture with pretrained weights is installed"
    print(f"features of {offer.record.name}, seeds {arguments.seeds}")
    print(f"{'set':<26}  {'photos':>6}  {'noise':<7}  {'share':>5}  {'changed':>7}  {'found':>5}  {'right':>5}")
    sums: dict[tuple[str, float], list[int]] = defaultdict(lambda: [0, 0, 0])
    for source in arguments.data:
        photos, near_duplicates = read_and_compare(source, None, start_keras, Reporter())
        features = backbone_features(photos, offer, start_keras)
        group = groups(len(photos), near_duplicates)
        position = {label: index for index, label in enumerate(photos.labels)}
        true = np.array([position[photo.label] for photo in photos.photos])
        likely = held_out(features, true, group).probabilities
        likely[np.arange(len(true)), true] = -1
        for share in arguments.shares:
            for noise in ("any", "likely") if share else ("none",):
                total = [0, 0, 0]
                for seed in arguments.seeds if share else [0]:
                    random = np.random.default_rng(seed)
                    changed = random.choice(len(true), round(share * len(true)), replace=False)
                    labels = true.copy()
                    labels[changed] = (true[changed] + random.integers(1, len(position), len(changed))) % len(position)
                    if noise == "likely":
                        labels[changed] = likely[changed].argmax(1)
                    found = {suspect.index for suspect in label_suspects(features, labels, group)}
                    for place, count in enumerate((len(changed), len(found), len(found & set(changed.tolist())))):
                        total[place] += count
                        sums[noise, share][place] += count
                show("/".join(PurePath(source).parts[-2:]), len(true), noise, share, *total)
    for (noise, share), (changed, found, right) in sums.items():
        show("all", 0, noise, share, changed, found, right)
        if changed:
            print(f"{'':<28}precision {percent(right / max(found, 1), 0)}, recall {percent(right / changed, 0)}")


def show(name: str, photos: int, noise: str, share: float, changed: int, found: int, right: int) -> None:
    print(
        f"{name:<26}  {photos or '':>6}  {noise:<7}  {percent(share, 0):>5}  {changed:>7}  {found:>5}  {right:>5}",
        flush=True,
    )


if __name__ == "__main__":
    main()
