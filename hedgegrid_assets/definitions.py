"""The door for Dagster: everything that the feeds of feeds.yaml become."""

from hedgegrid_assets.defs import load
from hedgegrid_assets.feeds import data_path, feeds_path

defs = load(feeds_path(), data_path())
