"""The staging area of raw and cleaned files: a folder, or a bucket."""
