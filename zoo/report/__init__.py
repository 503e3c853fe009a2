"""Charts and pages that describe a run. Matplotlib is imported when something is drawn."""
