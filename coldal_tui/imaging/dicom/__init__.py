"""DICOM images: objects, series, frames and pixel values."""
