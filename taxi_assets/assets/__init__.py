"""The asset graph: the months of each dataset, their reports, and the taxi zones."""
