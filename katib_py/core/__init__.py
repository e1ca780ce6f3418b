"""What the words mean and what to do next: pure, without clock, randomness, logging, network or disk."""
