"""Models that people made elsewhere: read, adapted to raw pixels and probabilities, or refused with the true cause."""
