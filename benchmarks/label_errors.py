"""How many wrong labels `zoo data check` finds among photos whose labels were flipped, and how many it makes up.

python benchmarks/label_errors.py shared/data/ccby_coarse
"""

from __future__ import annotations

import argparse
import os

import numpy as np

from zoo.figures import percent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="Folder of class folders.")
    parser.add_argument("--share", type=float, default=0.05, help="Of the labels, flipped to any other class.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from zoo.audit.audit import read_and_compare
    from zoo.audit.duplicates import groups
    from zoo.audit.features import backbone_features, find_backbone
    from zoo.audit.suspects import label_suspects
    from zoo.cli.backend import start_keras
    from zoo.training.reporter import Reporter

    photos, twins = read_and_compare(arguments.data, None, start_keras, Reporter())
    offer = find_backbone()
    assert offer is not None, "no architecture with pretrained weights is installed"
    features = backbone_features(photos, offer, start_keras)
    group = groups(len(photos), twins)
    position = {label: index for index, label in enumerate(photos.labels)}
    true = np.array([position[photo.label] for photo in photos.photos])
    print(f"{len(true)} photos, {len(position)} classes, features of {offer.record.name}")
    print("seed  flipped  flagged  right  found  false alarms")
    for seed in arguments.seeds:
        random = np.random.default_rng(seed)
        flipped = random.choice(len(true), round(arguments.share * len(true)), replace=False)
        labels = true.copy()
        labels[flipped] = (true[flipped] + random.integers(1, len(position), len(flipped))) % len(position)
        flagged = {suspect.index for suspect in label_suspects(features, labels, group)}
        right = len(flagged & set(flipped.tolist()))
        found = right / max(len(flipped), 1)
        wrong = len(flagged) - right
        print(f"{seed:>4}  {len(flipped):>7}  {len(flagged):>7}  {right:>5}  {percent(found, 0):>5}  {wrong:>12}")


if __name__ == "__main__":
    main()
