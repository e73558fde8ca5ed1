"""Pictures, crops, motion capture, synthetic people and data sets, in one canonical sample."""
