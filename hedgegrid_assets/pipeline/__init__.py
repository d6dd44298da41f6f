"""The four stages composed: for one feed and day (Dagster's steps call these), and for a whole request."""
