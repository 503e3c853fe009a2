"""YAML that may come from anywhere: read in one place, with one sentence on what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.text_files import decode_text


def read_yaml(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        ValueError: It cannot be read, or is no YAML; the message says why, as the end of a sentence on the file.
    """
    import yaml

    try:
        return yaml.safe_load(decode_text(path.read_bytes(), strict=True))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())[:200]) from error
