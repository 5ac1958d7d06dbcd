"""Widgets that panes are built from."""
