"""Reads YAML from untrusted sources, and describes each error in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.text_files import decode_text


def read_yaml(path: Path) -> Any:
    """Reads a YAML file.

    Raises:
        ValueError: The file cannot be read, or is not YAML. The message gives only the reason, for a sentence such as
            ``Could not read plan.yaml: ...``.
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
