"""The runs pane: trained models and their curve."""
