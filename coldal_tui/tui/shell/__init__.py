"""The app around the panes: layout, commands, help, background tasks."""
