"""Integrity that people can see: gaps, rejects, where a row comes from, charts, and one page with all of it.

Nothing here changes anything. ``status`` has no heavy import, so that the command line may start with it.
"""
