"""Read-only views of a project for screens and `status`."""
