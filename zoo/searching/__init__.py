"""The search for the best model within the limits of a device: candidates, their costs, and their evaluation."""
