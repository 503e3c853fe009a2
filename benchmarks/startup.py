"""Wall time, peak memory and heavy imports of the commands that must answer at once.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 15
HEAVY = ("tensorflow", "keras", "cv2", "sklearn")
SCRIPT = """
import resource, sys
sys.argv = ["zoo", *{arguments!r}]
from zoo.cli.main import main
try:
    main()
except SystemExit:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{{peak_mb:.1f}} {{[name for name in {heavy!r} if name in sys.modules]}}", file=sys.stderr)
"""


def main() -> None:
    print(f"{'command':<15}  {'median s':>8}  {'max s':>6}  {'peak MB':>7}  heavy imports")
    for arguments in (["--help"], ["list"], ["plugin", "list"]):
        code = SCRIPT.format(arguments=arguments, heavy=HEAVY)
        times = []
        for _ in range(RUNS):
            start = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            times.append(time.perf_counter() - start)
        peak, heavy = done.stderr.strip().splitlines()[-1].split(" ", 1)
        name = f"zoo {' '.join(arguments)}"
        print(f"{name:<15}  {statistics.median(times):>8.3f}  {max(times):>6.3f}  {peak:>7}  {heavy}")


if __name__ == "__main__":
    main()
