"""`outreach demo`: two hundred subscribers live through seven days in about a minute."""
