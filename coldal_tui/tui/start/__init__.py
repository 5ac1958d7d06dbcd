"""Making a project in the terminal."""
