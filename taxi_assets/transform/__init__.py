"""Clean one month of trips: functions from files to files. They know no Dagster."""
