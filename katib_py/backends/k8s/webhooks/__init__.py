"""Admission: what the API server asks before it stores an Experiment or a trial's pod."""
