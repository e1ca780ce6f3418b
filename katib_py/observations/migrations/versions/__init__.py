"""One file a revision, numbered; the newest is named in schema.SCHEMA."""
