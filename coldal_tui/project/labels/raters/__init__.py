"""Drawings of several people: who is back, what becomes the label, disputes, figures of people."""
