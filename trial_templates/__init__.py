"""Trial programs that are useful as they stand, each with the Experiment that runs it."""
