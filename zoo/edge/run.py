"""Predicts the class of images: python run.py photo.jpg

python run.py --help lists all options. This script needs only the packages in requirements.txt.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent


def load(path: Path, threads: int) -> Any:
    """Loads the model for prediction with the runtime of this bundle."""
    return importlib.import_module("runner.runtime").load(path, threads)


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036, the device may have an older Python
        sys.exit(f"Error: Python 3.11 or later is needed. This is {sys.version.split()[0]}.")
    sys.path.insert(0, str(FOLDER))
    try:
        main = importlib.import_module("runner.edge.main").main
    except Exception as error:
        import traceback

        where = traceback.extract_tb(error.__traceback__)[-1].filename
        print(f"Error: The runner is damaged: {error!r} ({where}).\n  Copy the bundle again.", file=sys.stderr)
        sys.exit(6)
    sys.exit(main(FOLDER, load))
