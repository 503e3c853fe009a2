"""Runs on disk."""

from zoo.run_folder.run import DEFAULT_ROOT, Run, create_run, find_runs, open_run, refuse_name

__all__ = ["DEFAULT_ROOT", "Run", "create_run", "find_runs", "open_run", "refuse_name"]
