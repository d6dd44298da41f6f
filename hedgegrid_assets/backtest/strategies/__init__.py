"""Strategies to start from: examples, no advice."""
