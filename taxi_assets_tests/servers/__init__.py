"""Real servers for the tests: Cloud Storage, BigQuery, Google's token endpoint, and a link that fails.

Belongs here: processes and small HTTP layers that let the official Google clients, dagster-gcp and the
project's own code run unchanged over HTTP. Does not belong here: tests, mocks, anything the product imports.
"""
