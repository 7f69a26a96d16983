variable "project" {
  description = "Project ID (TAXI_GCP_PROJECT)."
  type        = string
}

variable "bucket" {
  description = "Bucket of the lake (TAXI_GCS_BUCKET)."
  type        = string
}

variable "work_bucket" {
  description = "Bucket of raw and cleaned files (TAXI_WORK_URL); null: they stay on the machine that runs."
  type        = string
  default     = null
}

variable "location" {
  description = "Location of buckets and dataset (TAXI_BQ_LOCATION)."
  type        = string
  default     = "US"
}

variable "schema" {
  description = "BigQuery dataset of the tables (TAXI_WAREHOUSE_SCHEMA)."
  type        = string
  default     = "nyc_tlc"
}

variable "account_id" {
  description = "ID of the service account that runs the project."
  type        = string
  default     = "taxi-assets"
}

variable "kms_key_name" {
  description = "Cloud KMS key that encrypts buckets and dataset (CMEK), in their location (`europe` for EU, `us` for US); null: Google's own keys."
  type        = string
  default     = null
}
