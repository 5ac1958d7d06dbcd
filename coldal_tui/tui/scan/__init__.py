"""The scan pane: slices, masks, entropy."""
