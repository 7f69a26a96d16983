"""When what is asked for: partitions, jobs, schedules, sensors, alerts."""
