"""The platforms: implementations of the controller's ports and nothing more."""
