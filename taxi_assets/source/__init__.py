"""Where months come from: the HTTP and file client, inspection of byte streams, the availability probe. No Dagster."""
