"""Programs of the user that run when something has happened."""
