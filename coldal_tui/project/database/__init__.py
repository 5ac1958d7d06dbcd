"""The project's SQLite database: the store, its schema, backups, journal and checks."""
