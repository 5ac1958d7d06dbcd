"""What several mask formats have in common: decoding, headers, names, bitmaps."""
