"""The observation log, what trials measured, and the DBManager service over it."""
