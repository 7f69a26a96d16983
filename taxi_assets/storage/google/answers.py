"""Google's refusals by their wording: what each means, and what to do. The first entry that matches counts.

The wording is that of https://cloud.google.com/storage/docs/json_api/v1/status-codes and
https://cloud.google.com/bigquery/docs/error-messages, or of the answer itself where the pages do not quote it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """A refusal.

    Attributes:
        pattern: What its message, or the reason that Google gives with it, contains.
        meaning: In a few words; Google's message follows it.
        remedy: What to do.
    """

    pattern: str
    meaning: str
    remedy: str


ANSWERS = (
    Answer(
        r"default credentials were not found",
        "no credentials are given",
        "sign in with `gcloud auth application-default login`, set TAXI_GCP_CREDENTIALS to the key of a service "
        "account, or run where a service account is attached",
    ),
    Answer(
        r"\nFile .+ was not found",
        "a file of the credentials is not there",
        "correct GOOGLE_APPLICATION_CREDENTIALS, or the path that the file of that name contains; a container sees "
        "only files that are mounted into it",
    ),
    Answer(
        r"constraints/gcp\.resourceLocations",
        "an organization policy does not allow this location",
        "set TAXI_BQ_LOCATION to a location that the policy allows; `gcloud resource-manager org-policies describe "
        "gcp.resourceLocations --effective --project=PROJECT` shows them",
    ),
    Answer(
        r"\bconstraints/",
        "an organization policy does not allow it",
        "ask the organization's administrator for an exception from the constraint named",
    ),
    Answer(
        r"retentionPolicyNotMet|retention policy|object retention",
        "the bucket's retention policy does not let an object be replaced yet",
        "wait until the date named, or remove the policy: gcloud storage buckets update gs://BUCKET "
        "--clear-retention-period. A lake replaces objects, so its bucket should have none",
    ),
    Answer(
        r"(?:event-based|temporary) hold",
        "a hold on the object does not let it be replaced",
        "release it: gcloud storage objects update gs://BUCKET/OBJECT --no-temporary-hold --no-event-based-hold",
    ),
    Answer(
        r"vpcServiceControls|VPC Service Controls|prohibited by organization's policy",
        "a VPC Service Controls perimeter does not let the request through",
        "run inside the perimeter, or ask its administrator for an ingress rule; the message's identifier leads to "
        "the entry in the audit log",
    ),
    Answer(
        r"\bKMS\b|cloudkms|cryptoKey",
        "the encryption key (CMEK) cannot be used",
        "check that the key is enabled and in the location of bucket and dataset; grant the service agents of Cloud "
        "Storage and BigQuery roles/cloudkms.cryptoKeyEncrypterDecrypter on it",
    ),
    Answer(
        r"requester pays",
        "the bucket is a requester-pays bucket, from which BigQuery does not load",
        "turn it off: gcloud storage buckets update gs://BUCKET --no-requester-pays; or set TAXI_GCS_BUCKET to another",
    ),
    Answer(
        r"bucket name is not available|bucket you tried to create already exists",
        "the bucket's name is taken by someone else",
        "all of Google's customers share bucket names: choose another one",
    ),
    Answer(
        r"unknown project|not found: project|project \S+ (?:was )?not found|project \S+ has been deleted",
        "the project does not exist, or the account does not belong to it",
        "correct TAXI_GCP_PROJECT: it takes the project's ID, not its name or number",
    ),
    Answer(
        r"bytesBilledLimitExceeded|limit for bytes billed",
        "the query would scan more than its limit",
        "name fewer columns and months, or raise the limit (--max-gb)",
    ),
    Answer(
        r"quotaExceeded|quota exceeded",
        "a quota of the project is used up",
        "wait until it is renewed, or ask for more in the console under IAM & Admin, Quotas",
    ),
    Answer(
        r"accessNotConfigured|SERVICE_DISABLED|it is disabled|has not enabled",
        "the service is not enabled in the project",
        "gcloud services enable bigquery.googleapis.com storage.googleapis.com",
    ),
    Answer(
        r"billingNotEnabled|accountDisabled|\bbilling\b",
        "the project has no billing account",
        "turn on billing for the project TAXI_GCP_PROJECT in the console",
    ),
    Answer(
        r"short-lived token|reasonable timeframe|check your iat and exp",
        "this machine's clock is wrong, so Google does not accept what it signs",
        "set the clock, by NTP or `timedatectl set-ntp true`",
    ),
    Answer(
        r"\b(?:specified|not found:) bucket\b",
        "the bucket does not exist",
        "correct TAXI_GCS_BUCKET, or run `taxi-assets provision`",
    ),
    Answer(
        r"not found: table",
        "the table does not exist",
        "load a month into it, or run `taxi-assets provision`; the tables are those of TAXI_WAREHOUSE_SCHEMA",
    ),
    Answer(
        r"not found: dataset.*not found in location",
        "the BigQuery dataset is in another location",
        "set TAXI_BQ_LOCATION to the location of the dataset TAXI_WAREHOUSE_SCHEMA",
    ),
    Answer(
        r"not found: dataset",
        "the BigQuery dataset does not exist",
        "correct TAXI_WAREHOUSE_SCHEMA and TAXI_GCP_PROJECT, or run `taxi-assets provision`",
    ),
)


def find_answer(message: str, reason: str) -> Answer | None:
    """Return the refusal that a message and its reason are, if it is a known one."""
    return next((each for each in ANSWERS if re.search(each.pattern, f"{reason}\n{message}", re.IGNORECASE)), None)
