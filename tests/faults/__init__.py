"""Providers that break, in every way that is known, and what a caller may see of it."""
