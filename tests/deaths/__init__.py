"""Real processes, killed at chosen instructions and at random moments, and what came of it."""
