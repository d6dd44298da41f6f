"""What users write down: feeds and their settings."""
