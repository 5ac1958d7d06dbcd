"""Makes releases of a project's labels and collects what their data cards say."""
