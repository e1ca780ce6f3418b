"""The loop that drives an experiment: look, decide, act, over four ports."""
