"""Foreign forms in which entities arrive."""
