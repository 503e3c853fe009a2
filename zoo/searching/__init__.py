"""The search for the best model that meets a device's limits: candidates, their costs, and how they are judged."""
