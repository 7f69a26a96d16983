output "env" {
  description = "Lines for .env, by `terraform output -raw env`. Without the last line, automation fetches every month since 2009."
  value = "${join("\n", compact([
    "TAXI_PROFILE=gcp",
    "TAXI_GCP_PROJECT=${var.project}",
    "TAXI_GCS_BUCKET=${var.bucket}",
    "TAXI_WAREHOUSE_SCHEMA=${google_bigquery_dataset.schema.dataset_id}",
    "TAXI_BQ_LOCATION=${var.location}",
    var.work_bucket == null ? "" : "TAXI_WORK_URL=gs://${var.work_bucket}",
    "TAXI_AUTOMATION=stopped",
  ]))}\n"
}

output "service_account" {
  description = "The account that runs the project: attach it to the machine, or make a key for TAXI_GCP_CREDENTIALS."
  value       = google_service_account.runner.email
}
