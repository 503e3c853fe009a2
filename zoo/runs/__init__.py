"""Runs on disk."""

from zoo.runs.run import DEFAULT_ROOT, Run, create_run, find_runs, open_run

__all__ = ["DEFAULT_ROOT", "Run", "create_run", "find_runs", "open_run"]
