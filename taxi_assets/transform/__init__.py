"""How one month of trips is fetched, recognised, cleaned and counted: functions from files to files. No Dagster."""
