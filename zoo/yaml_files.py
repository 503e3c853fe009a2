"""YAML from untrusted sources: read in one place, with a one-sentence error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.text_files import decode_text


def read_yaml(path: Path) -> Any:
    """Reads a YAML file.

    Raises:
        ValueError: The file cannot be read, or is not YAML. The message is the end of a sentence on the file.
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
