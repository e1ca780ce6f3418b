"""The command line: `katib-py …`."""
