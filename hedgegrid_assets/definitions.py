"""The door for Dagster: everything that the feeds of feeds.yaml become."""

from hedgegrid_assets.config.paths import data_path, feeds_path
from hedgegrid_assets.defs import load

defs = load(feeds_path(), data_path())
