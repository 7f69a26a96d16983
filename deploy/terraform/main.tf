# What `taxi-assets provision` makes, and the account that runs the project. The tables are the project's own: the first
# load, or `provision`, creates them from the contracts. A test compares each attribute with what `provision` makes.

locals {
  labels  = { source = "tlc", made_by = "taxi_assets" }
  buckets = toset(compact([var.bucket, var.work_bucket]))
  kms     = toset(compact([var.kms_key_name]))

  services = toset(concat(
    [
      "bigquery.googleapis.com",
      "cloudresourcemanager.googleapis.com",
      "iam.googleapis.com",
      "serviceusage.googleapis.com",
      "storage.googleapis.com",
    ],
    var.kms_key_name == null ? [] : ["cloudkms.googleapis.com"],
  ))
}

resource "google_project_service" "services" {
  for_each           = local.services
  service            = each.value
  disable_on_destroy = false
}

resource "google_storage_bucket" "buckets" {
  for_each                    = local.buckets
  name                        = each.value
  location                    = var.location
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 7
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  dynamic "encryption" {
    for_each = local.kms
    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.services, google_kms_crypto_key_iam_member.storage]
}

resource "google_bigquery_dataset" "schema" {
  dataset_id  = var.schema
  location    = var.location
  labels      = local.labels
  description = "Trips of New York's taxis, from the files of the Taxi & Limousine Commission."

  dynamic "default_encryption_configuration" {
    for_each = local.kms
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  depends_on = [google_project_service.services, google_kms_crypto_key_iam_member.bigquery]
}

# The account, with the least that a run needs

resource "google_service_account" "runner" {
  account_id   = var.account_id
  display_name = "Runs taxi-assets"

  depends_on = [google_project_service.services]
}

resource "google_storage_bucket_iam_member" "objects" {
  for_each = google_storage_bucket.buckets
  bucket   = each.value.name
  role     = "roles/storage.objectUser"
  member   = google_service_account.runner.member
}

resource "google_storage_bucket_iam_member" "bucket" {
  for_each = google_storage_bucket.buckets
  bucket   = each.value.name
  role     = "roles/storage.legacyBucketReader"
  member   = google_service_account.runner.member
}

resource "google_bigquery_dataset_iam_member" "tables" {
  dataset_id = google_bigquery_dataset.schema.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.runner.member
}

resource "google_project_iam_member" "jobs" {
  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = google_service_account.runner.member
}

# With a key of your own (CMEK), Google's service agents encrypt and decrypt by it

data "google_storage_project_service_account" "agent" {
  for_each   = local.kms
  depends_on = [google_project_service.services]
}

data "google_bigquery_default_service_account" "agent" {
  for_each   = local.kms
  depends_on = [google_project_service.services]
}

resource "google_kms_crypto_key_iam_member" "storage" {
  for_each      = local.kms
  crypto_key_id = each.value
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = data.google_storage_project_service_account.agent[each.value].member
}

resource "google_kms_crypto_key_iam_member" "bigquery" {
  for_each      = local.kms
  crypto_key_id = each.value
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = data.google_bigquery_default_service_account.agent[each.value].member
}
