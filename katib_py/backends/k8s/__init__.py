"""The Kubernetes platform: trials as objects of any kind, everything that is kept in the Kubernetes API."""
