"""One machine: trials are processes, the store is an SQL database."""
