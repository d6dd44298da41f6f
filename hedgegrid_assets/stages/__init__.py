"""The four stages of every instrument-day: raw, normalize, integrity, catalog."""
