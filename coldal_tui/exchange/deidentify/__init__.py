"""De-identified exports: pseudonyms, cleaned images, and a search for remaining identifiers."""
