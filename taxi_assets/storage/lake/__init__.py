"""The lake: a folder, or Google Cloud Storage."""
