"""Training runs: recipe and data in, weights out, exactly the same ones however often the power fails."""
