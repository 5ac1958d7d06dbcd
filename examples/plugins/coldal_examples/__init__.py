"""Example plug-ins for coldal-tui: a strategy, an encoder and a mask format."""
