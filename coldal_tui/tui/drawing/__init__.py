"""Drawing without widgets: scatter, pictures, charts, glyphs, styles."""
