"""Access to Google's services, and what their errors mean."""
