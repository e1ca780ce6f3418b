"""Every search algorithm and early stopper behind one gRPC server."""
