"""Elapsed time, peak memory and large imports of the commands that must be fast, and of ``import zoo``.

The last column of ``import zoo`` is the CPU time of the import alone, without the interpreter's start.

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

IMPORT = """
import resource, sys, time
wall, cpu = time.perf_counter(), time.process_time()
import zoo
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{{wall}} {{cpu}} {{peak_mb:.1f}} {{[name for name in {heavy!r} if name in sys.modules]}}", file=sys.stderr)
"""


def main() -> None:
    print(f"{'command':<15}  {'median s':>8}  {'max s':>6}  {'peak MB':>7}  heavy imports")
    for arguments in (["--help"], ["list"], ["plugin", "list"]):
        code = SCRIPT.format(arguments=arguments, heavy=HEAVY)
        times = []
        for _ in range(RUNS):
            start = time.perf_counter()
            said = run(code)
            times.append(time.perf_counter() - start)
        peak, heavy = said.split(" ", 1)
        name = f"zoo {' '.join(arguments)}"
        print(f"{name:<15}  {statistics.median(times):>8.3f}  {max(times):>6.3f}  {peak:>7}  {heavy}")
    measured = [run(IMPORT.format(heavy=HEAVY)).split(" ", 3) for _ in range(RUNS)]
    walls, cpus = ([float(row[column]) for row in measured] for column in (0, 1))
    _, _, peak, heavy = measured[-1]
    shown = f"{statistics.median(walls):>8.3f}  {max(walls):>6.3f}  {peak:>7}  {heavy}"
    print(f"{'import zoo':<15}  {shown}  CPU {statistics.median(cpus):.3f} s, least {min(cpus):.3f}")


def run(code: str) -> str:
    """The last line that a fresh interpreter writes to stderr."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.strip().splitlines()[-1]


if __name__ == "__main__":
    main()
