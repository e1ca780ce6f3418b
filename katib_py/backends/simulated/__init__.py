"""The real engine on a virtual clock: trials are rows of a table or calls of a function."""
