"""The synthetic demonstration city: pure Python, no database, deterministic by seed."""
