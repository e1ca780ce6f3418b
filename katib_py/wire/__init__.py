"""The core to and from protobuf, and the calls of proto/api.proto."""
