"""Elapsed time of `zoo list` with 100 installed plugins and without plugins, measured in turn.

python benchmarks/plugins.py [PLUGINS] [RUNS]

Every plugin is a separate distribution, as installed by pip: a folder with metadata and an entry point, and a package
with two architectures. The plugins are generated in a temporary folder that is added to the path.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_S = 0.5

MODULE = '''
"""Generated."""

from zoo import Architecture, ImageSpec, Recipe, hookimpl


def build(input_shape, num_classes, dropout=0.2):
    from {module}.model import network

    return network(input_shape, num_classes, dropout)


@hookimpl
def zoo_architectures():
    return [
        Architecture(
            name=f"{module}_{{size}}",
            summary="Generated",
            build=build,
            image=ImageSpec(height_px=size, width_px=size),
        )
        for size in (96, 224)
    ]
'''
METADATA = """Metadata-Version: 2.4
Name: {distribution}
Version: 1.{number}
Summary: Generated
Requires-Python: >=3.11
Requires-Dist: keras-edge-zoo>=0.1
Requires-Dist: keras>=3.15

{readme}
"""


def install(folder: Path, number: int) -> None:
    module, distribution = f"zoo_generated_{number:03d}", f"zoo-generated-{number:03d}"
    package = folder / module
    package.mkdir()
    (package / "__init__.py").write_text(MODULE.format(module=module))
    info = folder / f"{module}-1.{number}.dist-info"
    info.mkdir()
    readme = "A line of a README that every distribution carries in its metadata.\n" * 60
    (info / "METADATA").write_text(METADATA.format(distribution=distribution, number=number, readme=readme))
    (info / "entry_points.txt").write_text(f"[zoo]\n{module} = {module}\n")


def timed(environment: dict[str, str]) -> tuple[float, int]:
    code = "import sys; sys.argv = ['zoo', 'list']; from zoo.cli.main import main; main()"
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - start
    if done.stderr:
        sys.exit(f"zoo list printed messages:\n{done.stderr[:500]}")
    return seconds, done.stdout.count("zoo-generated")


def main() -> None:
    given = [int(text) for text in sys.argv[1:3]]
    plugins, runs = given + [100, 15][len(given) :]
    with tempfile.TemporaryDirectory() as folder:
        for number in range(plugins):
            install(Path(folder), number)
        with_them = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))}
        timed(with_them)  # writes the .pyc files
        none, many = [], []
        for _ in range(runs):
            none.append(timed(dict(os.environ))[0])
            seconds, listed = timed(with_them)
            many.append(seconds)
        if listed != 2 * plugins:
            sys.exit(f"{listed} generated architectures are listed, not {2 * plugins}")
    print(f"{'plugins':>7}  {'median s':>8}  {'max s':>6}")
    print(f"{0:>7}  {statistics.median(none):>8.3f}  {max(none):>6.3f}")
    print(f"{plugins:>7}  {statistics.median(many):>8.3f}  {max(many):>6.3f}")
    verdict = "under" if statistics.median(many) < LIMIT_S else "NOT under"
    print(f"{verdict} {LIMIT_S} s with {plugins} plugins")


if __name__ == "__main__":
    main()
