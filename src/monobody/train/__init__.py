"""The one training loop, its recipes, tasks, checkpoints and log."""
