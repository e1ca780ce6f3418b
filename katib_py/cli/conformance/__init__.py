"""Whether somebody's suggestion service keeps to the protocol: a controller is played, and what it met is told."""
