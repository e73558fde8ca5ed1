"""From a picture to a scene: people found, bodies predicted."""
