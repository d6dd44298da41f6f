"""What sources share: how lines and their values are read."""
