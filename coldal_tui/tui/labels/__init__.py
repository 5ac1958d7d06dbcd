"""The labels pane: quarantine, decisions, comparison."""
