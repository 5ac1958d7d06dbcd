"""What names say: of scans, of classes, and how people say that masks are named."""
