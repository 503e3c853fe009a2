"""Training runs: from recipe and data to weights, with identical results after any number of interruptions."""
