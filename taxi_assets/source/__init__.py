"""Where months come from: the client, the inspection of bytes as they stream in, and the availability probe. No Dagster."""
