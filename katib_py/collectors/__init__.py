"""What a run prints, writes or serves, turned into measurements."""
