"""Replays of labelling on data that has masks: what is replayed, how it is told. No pixels here."""
