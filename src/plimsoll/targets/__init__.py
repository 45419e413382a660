"""Where plans run. `base` is the port that every target offers; the engine knows nothing else of them."""
