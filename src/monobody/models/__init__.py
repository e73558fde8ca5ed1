"""Networks: backbones and the human mesh regressor."""
