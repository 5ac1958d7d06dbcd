"""The project directory: layout, configuration, store, records, audit trail, snapshot."""
