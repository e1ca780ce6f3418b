"""The migrations of the observation log's tables; `schema.py` runs them."""
