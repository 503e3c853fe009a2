"""``zoo train`` of pretrained architectures on several datasets: a chosen head compared with a trained one.

    python benchmarks/transfer.py balls/ waste/ --architectures mobilenetv2 efficientnet_lite0 --seeds 0

Every line is a whole command. The commands run in turn: the default, then ``--head-epochs 60``, which was the default
before. Features are computed again for each command, so that the seconds include everything (``--keep-cache`` uses
cached features).
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from zoo.figures import percent
from zoo.run_folder import open_run

WAYS = {"chosen": [], "trained": ["--head-epochs", "60"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--architectures", nargs="+", default=["mobilenetv2"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--keep-cache", action="store_true")
    arguments = parser.parse_args()
    print(
        f"{'architecture':<20} {'data':<18} seed  {'head':<8} {'test':>7}  {'folds':>7}  seconds  peak MB", flush=True
    )
    found: dict[tuple[str, str], list[float]] = {}
    for architecture in arguments.architectures:
        for source in arguments.data:
            for seed in arguments.seeds:
                for way, options in WAYS.items():
                    command = ["train", architecture, "--data", source, "--seed", str(seed), *options]
                    test, folds, seconds, peak_mb = measure(command, arguments.keep_cache)
                    found.setdefault((architecture, way), []).append(test)
                    print(
                        f"{architecture:<20} {Path(source).name:<18} {seed:>4}  {way:<8} {percent(test):>7}  "
                        f"{folds:>7}  {seconds:7.1f}  {peak_mb:7.0f}",
                        flush=True,
                    )
    for (architecture, way), accuracies in found.items():
        print(f"{architecture:<20} {'mean':<18}       {way:<8} {percent(statistics.mean(accuracies)):>7}")


def measure(arguments: list[str], keep_cache: bool) -> tuple[float, str, float, float]:
    """Accuracy on the test images, accuracy of the chosen head in the folds, seconds, and peak memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ) if keep_cache else {**os.environ, "ZOO_CACHE_DIR": f"{folder}/cache"}
        command = [sys.executable, "-c", "from zoo.cli.main import main; main()", *arguments, "--runs", folder]
        start = time.perf_counter()
        subprocess.run([*command, "--name", "run"], check=True, capture_output=True, env=environment)
        seconds = time.perf_counter() - start
        run = open_run(Path(folder) / "run")
        # The maximum over all child processes so far.
        peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        head = run.info.head
        folds = "-" if head is None or head.accuracy is None else percent(head.accuracy)
        return run.metrics.accuracy, folds, seconds, peak_mb


if __name__ == "__main__":
    main()
